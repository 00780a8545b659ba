package net

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/state"
)

// BenchmarkLinks makes and takes away a thousand links, by opdbus and by ip -batch in turn, and prints how much longer opdbus takes: to make them, and to read them as
// a plan does (one dump), which is held against ip -json link.
func BenchmarkLinks(b *testing.B) {
	const n = 1000
	kind := kinds().For(addr("link", ""))
	var make, gone []state.Change
	var addrs []state.Addr
	var wants []state.Object
	var add, del strings.Builder
	for i := range n {
		want := Link{Name: fmt.Sprint("l", i), Kind: "bridge"}
		at := addr("link", want.Name)
		make, gone = append(make, state.Change{Addr: at, After: want}), append(gone, state.Change{Addr: at, Before: want})
		addrs, wants = append(addrs, at), append(wants, want)
		fmt.Fprintf(&add, "link add %s alias opdbus type bridge\nlink set %[1]s up\n", want.Name)
		fmt.Fprintf(&del, "link del %s\n", want.Name)
	}
	ip(b, "link", "show") // says what is lacking
	batch := func(text string) time.Duration {
		began := time.Now()
		cmd := exec.Command("ip", "-batch", "-")
		cmd.Stdin = strings.NewReader(text)
		out, err := cmd.CombinedOutput()
		require.NoError(b, err, "%s", out)
		return time.Since(began)
	}
	var theirs, ours, listed, read time.Duration
	for b.Loop() {
		theirs += batch(add.String())
		began := time.Now()
		require.NoError(b, exec.Command("ip", "-details", "-json", "link").Run())
		listed += time.Since(began)
		batch(del.String())
		began = time.Now()
		require.NoError(b, kind.Apply(b.Context(), state.Site{}, make))
		ours += time.Since(began)
		began = time.Now()
		lives, err := kind.Read(b.Context(), addrs, wants)
		require.NoError(b, err)
		read += time.Since(began)
		require.True(b, state.Same(lives[n-1], wants[n-1]))
		require.NoError(b, kind.Apply(b.Context(), state.Site{}, gone))
	}
	b.ReportMetric(float64(ours)/float64(theirs), "apply/ip-batch")
	b.ReportMetric(float64(read)/float64(listed), "plan/ip-json")
	b.ReportMetric(ours.Seconds()*1000/float64(b.N), "apply-ms")
	b.ReportMetric(read.Seconds()*1000/float64(b.N), "plan-ms")
}
