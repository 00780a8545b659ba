// Package management finds out over which connection somebody runs opdbus, and by what of the host's network that goes. It may import
// providers/internal/ovsdb and vishvananda/netlink.
package management

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// Connection is who runs opdbus by ssh(1): SSH_CONNECTION of this process or of one that started it, as sudo(8) does not hand it on.
func Connection() (peer, local netip.Addr, ok bool) {
	environ := os.Environ()
	for pid := os.Getpid(); ; {
		for _, e := range environ {
			words := strings.Fields(strings.TrimPrefix(e, "SSH_CONNECTION="))
			if !strings.HasPrefix(e, "SSH_CONNECTION=") || len(words) != 4 {
				continue
			}
			peer, err := netip.ParseAddr(words[0])
			local, other := netip.ParseAddr(words[2])
			return peer.Unmap(), local.Unmap(), err == nil && other == nil
		}
		if pid = parent(pid); pid <= 1 {
			return peer, local, false
		}
		content, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		if err != nil { // another user's, which somebody who may not look cannot change the network for either
			return peer, local, false
		}
		environ = strings.Split(string(content), "\x00")
	}
}

// parent is the process that started one (proc_pid_stat(5)); 0 for none.
func parent(pid int) int {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	at := bytes.LastIndexByte(content, ')') // a name may have any character before it
	fields := strings.Fields(string(content[at+1:]))
	if err != nil || len(fields) < 2 {
		return 0
	}
	n, _ := strconv.Atoi(fields[1])
	return n
}
