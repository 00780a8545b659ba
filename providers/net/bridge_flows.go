package net

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/opdbus/opdbus/providers/internal/ofctl"
)

// keepingFlows has something done that empties bridges of their flows, as a change of fail_mode does, and puts these back, in one bundle a
// bridge, whoever made them.
func (v *vswitch) keepingFlows(ctx context.Context, bridges []string, do func() error) error {
	kept := map[string]string{}
	for _, name := range bridges {
		flows, err := ofctl.Run(ctx, v.dir, name, "OpenFlow10,OpenFlow11,OpenFlow12,OpenFlow13,OpenFlow14,OpenFlow15", "", "--no-stats", "dump-flows", ofctl.Bridge)
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
		if _, err := ofctl.Run(context.WithoutCancel(ctx), v.dir, name, "OpenFlow13,OpenFlow14,OpenFlow15", flows, "--bundle", "add-flows", ofctl.Bridge, "-"); err != nil {
			errs = append(errs, fmt.Errorf("cannot put back the flows of bridge %s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}
