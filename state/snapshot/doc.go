// Package snapshot makes, copies and exchanges the btrfs subvolumes that nodes live in, and takes snapshots of them that
// are complete in themselves: the files, and a record of the live objects and of the run that the snapshot is of.
//
// Creating and copying go through containerd/btrfs; what that lacks, or does by walking every file, is done by a few
// ioctls of <linux/btrfs.h>. A build without cgo does all of it by ioctl. The package imports state, these two modules
// and the standard library.
package snapshot
