package net

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
)

// keepingFlows has something done that empties bridges of their flows, as a change of fail_mode does, and puts these back, in one bundle a
// bridge, whoever made them.
func keepingFlows(ctx context.Context, bridges []string, do func() error) error {
	kept := map[string]string{}
	for _, name := range bridges {
		flows, err := ofctl(ctx, "", "--no-stats", "dump-flows", name)
		if err != nil {
			return fmt.Errorf("cannot read the flows of bridge %s, which would be lost: %w", name, err)
		}
		for line := range strings.Lines(flows) {
			line = strings.TrimSpace(line)
			if own := "priority=0 actions=NORMAL"; strings.Contains(line, "actions=") && line != own && line != "cookie=0x0, "+own { // the switch's own
				kept[name] += "flow add " + line + "\n"
			}
		}
	}
	errs := []error{do()}
	for name, flows := range kept {
		if _, err := ofctl(context.WithoutCancel(ctx), flows, "bundle", name, "-"); err != nil {
			errs = append(errs, fmt.Errorf("cannot put back the flows of bridge %s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

// ofctl runs ovs-ofctl(8).
func ofctl(ctx context.Context, input string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "ovs-ofctl", append([]string{"-O", "OpenFlow13,OpenFlow14,OpenFlow15", "--no-names", "--timeout=60"}, args...)...)
	var out, said bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &said
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("ovs-ofctl %s: %w: %s", args[0], err, strings.TrimSpace(said.String()))
	}
	return out.String(), nil
}
