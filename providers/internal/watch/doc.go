// Package watch hears of what happens to paths of the host (inotify(7)). What it watches are directories, so that ten thousand
// links in one cost one watch: the one that a path's last name stands in, and each that is gone through on the way there, by links
// too. So a parent that is missing, goes, comes, is moved or becomes a link is heard of like the thing itself.
//
// What inotify does not tell cannot be heard of: something that is mounted over a directory, or unmounted from it, and a file that
// is written by another of its names (link(2)) in another directory.
//
// Kernel hears of the network (rtnetlink(7)).
//
// It may import state, hostfs, fsnotify and golang.org/x/sys/unix.
package watch
