package bench

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/internal/machine"
)

// A networked is a booted machine, with a network and a store of its own, on which the program runs.
type networked struct {
	*machine.Machine
	b *testing.B
}

func newNetworked(b *testing.B) *networked {
	b.Helper()
	m := &networked{machine.New(b), b}
	m.Opdbus()
	m.Do("opdbus", "init")
	return m
}

// took is how long a command of the machine takes.
func (m *networked) took(argv ...string) time.Duration {
	m.b.Helper()
	began := time.Now()
	out, err := m.Traceable(m.b.Context(), argv...).CombinedOutput()
	took := time.Since(began)
	require.NoError(m.b, err, "%v: %s", argv, out[:min(len(out), 2000)])
	return took
}

func (m *networked) opdbus(args ...string) time.Duration {
	m.b.Helper()
	return m.took(append([]string{"opdbus", "--chdir=/root/config"}, args...)...)
}

// applied is the configuration made so.
func (m *networked) applied(config string) time.Duration {
	m.b.Helper()
	m.Put("/root/config/main.hcl", config, 0o644)
	return m.opdbus("apply", "--auto-approve")
}

// asked counts what a run of the program asks of the kernel's netlink, of the switch's database, and of ovs-ofctl(8).
func (m *networked) asked(of string, args ...string) {
	m.b.Helper()
	strace, err := exec.LookPath("strace")
	if err != nil {
		m.b.Log("there is no strace: what is asked is not counted")
		return
	}
	file := filepath.Join(m.b.TempDir(), "calls")
	cmd := m.Traceable(m.b.Context(), append([]string{"opdbus", "--chdir=/root/config"}, args...)...)
	cmd.Args = append([]string{strace, "-f", "-s", "200", "-o", file, "-e", "trace=execve,sendto,write", cmd.Path}, cmd.Args[1:]...)
	cmd.Path = strace
	out, err := cmd.CombinedOutput()
	require.NoError(m.b, err, "%s", out[:min(len(out), 2000)])
	calls, err := os.ReadFile(file)
	require.NoError(m.b, err)
	counts := map[string]int{}
	for line := range bytes.Lines(calls) {
		for what, text := range map[string]string{
			"netlink requests": "sa_family=AF_NETLINK", "OVSDB calls": `\"method\":\"transact\"`, "ovs-ofctl": `execve("/usr/bin/ovs-ofctl"`,
		} {
			if bytes.Contains(line, []byte(text)) && !bytes.Contains(line, []byte("ENOENT")) {
				counts[what]++
			}
		}
	}
	fmt.Printf("%s: opdbus %s asks: %v\n", of, args[0], counts)
}

func (m *networked) ratio(name string, took, loop time.Duration) {
	m.b.ReportMetric(float64(took)/float64(loop), name)
	m.b.ReportMetric(float64(took.Microseconds())/1000, strings.Split(name, "/")[0]+"-ms")
	m.b.ReportMetric(float64(loop.Microseconds())/1000, strings.Split(name, "/")[1]+"-ms")
}

// BenchmarkNetworkLinks makes a thousand links by the whole command, and plans that they stay, against ip -batch and ip -json of the same links.
func BenchmarkNetworkLinks(b *testing.B) {
	const n = 1000
	m := newNetworked(b)
	config := fmt.Sprintf(`plugin "net" {}
network "bench" {
  dynamic "link" {
    for_each = range(%d)
    labels   = ["l${link.value}"]
    content { kind = "bridge" }
  }
}
`, n)
	var add strings.Builder
	for i := range n {
		fmt.Fprintf(&add, "link add l%d group 9 type bridge\nlink set l%[1]d alias opdbus up\n", i)
	}
	m.Put("/root/add", add.String(), 0o644)
	m.Put("/root/config/main.hcl", config, 0o644)
	for b.Loop() {
		var list time.Duration
		loop := best(3, func() time.Duration {
			took := m.took("ip", "-batch", "/root/add")
			list = best(3, func() time.Duration { return m.took("ip", "-details", "-json", "link") })
			m.took("ip", "link", "del", "group", "9") // all at once: one by one takes half a minute
			return took
		})
		var plan time.Duration
		apply := best(2, func() time.Duration {
			took := m.opdbus("apply", "--auto-approve")
			plan = best(3, func() time.Duration { return m.opdbus("plan") })
			m.opdbus("destroy", "--auto-approve")
			return took
		})
		m.ratio("apply/ip-batch", apply, loop)
		m.ratio("plan/ip-json", plan, list)
	}
	m.asked("links", "apply", "--auto-approve")
	m.asked("links", "plan")
}

// BenchmarkNetworkFlows has a set of flows exchanged for another by the whole command, and plans that it stays, against ovs-ofctl --bundle
// replace-flows and dump-flows of the same sets.
func BenchmarkNetworkFlows(b *testing.B) {
	for _, n := range []int{1000, 10000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			m := newNetworked(b)
			m.Do("systemctl", "start", "openvswitch-switch.service")
			m.Do("ovs-vsctl", "add-br", "o0", "--", "set", "bridge", "o0", "datapath_type=netdev", "fail_mode=secure", "protocols=OpenFlow14")
			var configs [2]string
			for i := range configs {
				var flows strings.Builder
				for f := range n {
					fmt.Fprintf(&flows, "priority=%d,tcp,tcp_dst=%d actions=drop\n", 100+i, f+1)
				}
				m.Put(fmt.Sprint("/root/flows", i), flows.String(), 0o644)
				configs[i] = fmt.Sprintf(`plugin "openflow" {
  bridge "o0" {
    dynamic "flow" {
      for_each = flatten([for k in range(%d) : [for f in range(1000) : 1000 * k + f + 1]])
      labels   = ["f${flow.value}"]
      content {
        priority = %d
        match    = { tcp = true, tcp_dst = flow.value }
        actions  = ["drop"]
      }
    }
  }
}
`, n/1000, 100+i)
			}
			ofctl := func(argv ...string) time.Duration {
				return m.took(append([]string{"ovs-ofctl", "-O", "OpenFlow14"}, argv...)...)
			}
			swap := func(do func(i int) time.Duration) time.Duration {
				do(0)
				return best(3, func() time.Duration { return min(do(1), do(0)) })
			}
			for b.Loop() {
				loop := swap(func(i int) time.Duration {
					return ofctl("--bundle", "replace-flows", "o0", fmt.Sprint("/root/flows", i))
				})
				dump := best(3, func() time.Duration { return ofctl("dump-flows", "o0") })
				ofctl("del-flows", "o0")
				apply := swap(func(i int) time.Duration { return m.applied(configs[i]) })
				plan := best(3, func() time.Duration { return m.opdbus("plan") })
				m.ratio("apply/replace-flows", apply, loop)
				m.ratio("plan/dump-flows", plan, dump)
			}
			m.asked(fmt.Sprint(n, " flows"), "plan")
			m.Put("/root/config/main.hcl", configs[1], 0o644)
			m.asked(fmt.Sprint(n, " flows"), "apply", "--auto-approve")
		})
	}
}
