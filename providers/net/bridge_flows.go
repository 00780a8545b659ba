package net

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// keepingFlows has something done that empties bridges of their flows, as a change of fail_mode does, and puts these back, in one bundle a
// bridge, whoever made them.
func (v *vswitch) keepingFlows(ctx context.Context, bridges []string, do func() error) error {
	kept := map[string]string{}
	for _, name := range bridges {
		flows, err := v.ofctl(ctx, "", "OpenFlow10,OpenFlow11,OpenFlow12,OpenFlow13,OpenFlow14,OpenFlow15", "--no-stats", "dump-flows", v.at(name))
		if err != nil {
			return fmt.Errorf("cannot read the flows of bridge %s, which would be lost: %w", name, err)
		}
		for line := range strings.Lines(flows) {
			line = strings.TrimSpace(line)
			if own := "priority=0 actions=NORMAL"; strings.Contains(line, "actions=") && line != own && line != "cookie=0x0, "+own { // the switch's own
				kept[name] += "add " + line + "\n"
			}
		}
	}
	errs := []error{do()}
	for name, flows := range kept {
		if _, err := v.ofctl(context.WithoutCancel(ctx), flows, "OpenFlow13,OpenFlow14,OpenFlow15", "--bundle", "add-flows", v.at(name), "-"); err != nil {
			errs = append(errs, fmt.Errorf("cannot put back the flows of bridge %s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

// at is where a bridge's flows are served.
func (v *vswitch) at(bridge string) string { return "unix:" + filepath.Join(v.dir, bridge+".mgmt") }

// ofctl runs ovs-ofctl(8) with one of the versions of OpenFlow.
func (*vswitch) ofctl(ctx context.Context, input, versions string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "ovs-ofctl", append([]string{"-O", versions, "--no-names", "--timeout=60"}, args...)...)
	var out, said bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &said
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("ovs-ofctl %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(said.String()))
	}
	return out.String(), nil
}
