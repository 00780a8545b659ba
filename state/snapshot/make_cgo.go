//go:build cgo

package snapshot

import "github.com/containerd/btrfs/v2"

func create(path string) error { return btrfs.SubvolCreate(path) }

func snapshot(src, dst string, readonly bool) error { return btrfs.SubvolSnapshot(dst, src, readonly) }
