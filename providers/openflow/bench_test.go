package openflow

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/providers/internal/ovstest"
	"github.com/opdbus/opdbus/state"
)

// BenchmarkFlows has sets of flows exchanged, by opdbus and by ovs-ofctl --bundle replace-flows in turn, and prints how much longer opdbus takes: as it
// applies a plan (one bundle), as it plans that nothing is to be done (one dump), and both with looking once more. It takes openvswitch-switch, and a network
// namespace (unshare --net).
func BenchmarkFlows(b *testing.B) {
	for _, n := range []int{1000, 10000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) { benchmark(b, n) })
	}
}

func benchmark(b *testing.B, n int) {
	if _, err := exec.LookPath("ovs-vswitchd"); err != nil {
		b.Skip("there is no ovs-vswitchd: install openvswitch-switch")
	}
	s := ovstest.New(b)
	s.Vsctl("add-br", "o0", "--", "set", "bridge", "o0", "datapath_type=netdev", "fail_mode=secure")
	kinds := kindsFor(s)
	kind := kinds.For(addr("flow", ""))
	var sets [2][]state.Declared
	var files [2]string
	for i := range sets {
		of := Bridge{Name: "o0"}
		text := ""
		for f := range n {
			of.Flows = append(of.Flows, Declared{Name: fmt.Sprint(f), Priority: p(100 + i), Match: map[string]string{"tcp": "true", "tcp_dst": fmt.Sprint(f%60000 + 1)}, Actions: []string{"drop"}})
		}
		sets[i], _ = expanded(b, of)
		for _, d := range sets[i] {
			if f, is := d.Object.(Flow); is {
				text += f.line(nil) + "\n"
			}
		}
		files[i] = filepath.Join(b.TempDir(), "flows")
		require.NoError(b, os.WriteFile(files[i], []byte(text), 0o600))
	}
	read := func(set []state.Declared) {
		var addrs []state.Addr
		var wants []state.Object
		for _, d := range set {
			if d.Addr.Kind == "flow" {
				addrs, wants = append(addrs, d.Addr), append(wants, d.Object)
			}
		}
		lives, err := kind.Read(b.Context(), addrs, wants)
		require.NoError(b, err)
		for i := range lives {
			require.True(b, state.Same(lives[i], wants[i]), "%v: %v", wants[i], lives[i])
		}
	}
	change(b, kinds, nil, sets[0])
	read(sets[0])
	var theirs, swap, look time.Duration
	rounds := 0
	for b.Loop() {
		for range 2 {
			at := rounds % 2
			began := time.Now()
			s.Ofctl("replace-flows", "o0", files[1-at], "--bundle")
			theirs += time.Since(began)
			s.Ofctl("replace-flows", "o0", files[at], "--bundle")
			began = time.Now()
			change(b, kinds, sets[at], sets[1-at])
			swap += time.Since(began)
			began = time.Now()
			read(sets[1-at])
			look += time.Since(began)
			rounds++
		}
	}
	b.ReportMetric(float64(swap)/float64(theirs), "apply/replace-flows")
	b.ReportMetric(float64(look)/float64(theirs), "plan/replace-flows")
	b.ReportMetric(theirs.Seconds()*1000/float64(rounds), "replace-flows-ms")
	b.ReportMetric(swap.Seconds()*1000/float64(rounds), "apply-ms")
	b.ReportMetric(look.Seconds()*1000/float64(rounds), "plan-ms")
}
