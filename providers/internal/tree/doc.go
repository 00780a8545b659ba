// Package tree looks at a directory with everything in it: names, attributes, links and the digests of files. An index
// of an earlier look spares reading files that have not changed since. It may import the standard library and
// golang.org/x/sys/unix.
package tree
