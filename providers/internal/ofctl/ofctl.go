// Package ofctl runs ovs-ofctl(8) on a bridge of Open vSwitch. It may import the standard library.
package ofctl

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Bridge stands among the arguments for where the bridge's flows are served.
const Bridge = "BRIDGE"

// ErrNotServed says that nothing serves a bridge's flows: there are none then.
var ErrNotServed = errors.New("ovs-vswitchd does not serve the bridge: start it, such as with systemctl start ovs-vswitchd.service")

// Run runs it with one of the versions of OpenFlow, on a bridge whose socket is in dir, and gives what it prints. Ports are told by their numbers.
func Run(ctx context.Context, dir, bridge, versions, input string, args ...string) (string, error) {
	args = slices.Clone(args)
	if i := slices.Index(args, Bridge); i >= 0 {
		args[i] = "unix:" + filepath.Join(dir, bridge+".mgmt")
	}
	argv := append([]string{"-O", versions, "--no-names", "--timeout=60"}, args...)
	cmd := exec.CommandContext(ctx, "ovs-ofctl", argv...)
	var out, said bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &said
	err := cmd.Run()
	text := strings.TrimSpace(said.String())
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return "", errors.New("there is no ovs-ofctl: install openvswitch-common")
	case err != nil && (strings.Contains(text, "is not a bridge or a socket") || strings.Contains(text, "connecting to unix:") || strings.Contains(text, "failed to connect to socket") || strings.Contains(text, "failed to open socket")):
		return "", ErrNotServed
	case err != nil:
		return "", fmt.Errorf("ovs-ofctl %s: %w: %s", strings.Join(args, " "), err, text)
	case strings.Contains(text, "normalization changed ofp_match"):
		return "", fmt.Errorf("the switch would leave out part of a match: %s", text)
	}
	return out.String(), nil
}
