// Package hostfs works on the host's paths below a root, safely: whoever can write to a part of a path decides where the
// path leads, and opdbus writes as root. So a target's parent is walked one component at a time, links are resolved
// inside the root, and everything then happens relative to the directory that the walk arrived at.
//
// The rule is that of systemd's CHASE_SAFE (src/basic/chase.c, unsafe_transition): whatever root owns may lead anywhere;
// what another user owns, a directory as well as a link, may lead only to what the same user owns. CHASE_SAFE looks at
// owners alone and so trusts what somebody has planted in a directory that everybody can write to; three rules cover
// that. What stands in such a directory is walked through only if root or the directory's owner owns it. A link in it is
// followed only if the directory is sticky, since otherwise anybody can put another's link in its place. And missing
// parents are made only in a directory of root's, because nobody could safely walk from another user's directory into
// one that root owns.
//
// It may import the standard library and golang.org/x/sys/unix.
package hostfs
