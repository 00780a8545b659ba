package watch

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"
)

// Kernel gets nil for each message of the kernel to groups of rtnetlink(7), such as RTNLGRP_LINK, until ctx ends.
func Kernel(ctx context.Context, groups ...uint) (<-chan error, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("cannot listen to what the kernel tells of the network: %w", err)
	}
	var mask uint32
	for _, g := range groups {
		mask |= 1 << (g - 1)
	}
	const seldom = 1 // second between two looks at whether to go on
	err = unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: mask})
	if err == nil {
		err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: seldom})
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("cannot listen to what the kernel tells of the network: %w", err)
	}
	news := make(chan error)
	go func() {
		defer unix.Close(fd)
		buf := make([]byte, 64<<10)
		for ctx.Err() == nil {
			_, _, err := unix.Recvfrom(fd, buf, 0)
			switch err {
			case unix.EAGAIN, unix.EINTR:
				continue
			case unix.ENOBUFS: // some were lost
				err = nil
			}
			select {
			case news <- err:
			case <-ctx.Done():
			}
			if err != nil {
				return
			}
		}
	}()
	return news, nil
}
