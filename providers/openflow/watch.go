package openflow

import (
	"bufio"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"

	"github.com/opdbus/opdbus/state"
)

// Watch hears of each bridge's flows (ovs-ofctl monitor). When nobody tells of them any more, as ovs-vswitchd has gone, so have they.
func (p *flows) Watch(ctx context.Context, items []state.Item[Flow], tell func([]state.Addr, error)) error {
	known, err := p.bridges(ctx)
	if err != nil {
		return err
	}
	of := map[string][]state.Addr{}
	for _, it := range items {
		of[it.Want.Bridge] = append(of[it.Want.Bridge], it.Addr)
	}
	type news struct {
		addrs []state.Addr
		err   error
	}
	heard := make(chan news)
	for name, addrs := range of {
		b, there := known[name]
		if !there {
			return fmt.Errorf("there is no bridge %s to hear of", name)
		}
		cmd := exec.CommandContext(ctx, "ovs-ofctl", "-O", b.version, "monitor", "unix:"+filepath.Join(p.dir, name+".mgmt"), "watch:!initial")
		out, err := cmd.StdoutPipe()
		if err != nil {
			return err
		}
		if err := cmd.Start(); err != nil {
			return fmt.Errorf("cannot hear of the flows of bridge %s: %w", name, err)
		}
		go func() {
			for lines := bufio.NewScanner(out); lines.Scan(); {
				select {
				case heard <- news{addrs: addrs}:
				case <-ctx.Done():
				}
			}
			err := fmt.Errorf("ovs-vswitchd tells no more of the flows of bridge %s: %w", name, cmd.Wait())
			select {
			case heard <- news{addrs, err}:
			case <-ctx.Done():
			}
		}()
	}
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case n := <-heard:
				tell(n.addrs, n.err)
				if n.err != nil {
					return
				}
			}
		}
	}()
	return nil
}
