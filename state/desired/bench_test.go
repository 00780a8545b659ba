package desired_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/opdbus/opdbus/state/desired"
	"github.com/stretchr/testify/require"
)

func literalFiles(n int) string {
	var b strings.Builder
	b.WriteString("stage \"big\" {\n")
	for i := range n {
		fmt.Fprintf(&b, "  file \"bin/tool-%d\" {\n    target = \"/usr/local/bin/tool-%d\"\n    type   = \"symlink\"\n    mode   = \"0755\"\n  }\n", i, i)
	}
	b.WriteString("}\n")
	return b.String()
}

// BenchmarkLiteral is a stage of literal file blocks; parse is what hclparse alone takes on the same text.
func BenchmarkLiteral(b *testing.B) {
	for _, n := range []int{100, 1_000, 10_000, 100_000} {
		text := literalFiles(n)
		dir := write(b, "main.hcl", text)
		b.Run(fmt.Sprintf("parse/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, diags := hclparse.NewParser().ParseHCL([]byte(text), "main.hcl")
				require.False(b, diags.HasErrors())
			}
		})
		b.Run(fmt.Sprintf("load/%d", n), func(b *testing.B) { loads(b, dir, n) })
	}
}

// BenchmarkDynamic is a stage whose files one dynamic block makes from a fileset.
func BenchmarkDynamic(b *testing.B) {
	for _, n := range []int{100, 1_000, 10_000, 100_000} {
		dir := write(b, "main.hcl", `
stage "big" {
  source = "payload"
  dynamic "file" {
    for_each = fileset("payload", "**")
    labels   = [file.value]
    content {
      target = "/usr/local/${file.value}"
      type   = "symlink"
    }
  }
}
`)
		require.NoError(b, os.MkdirAll(filepath.Join(dir, "payload/bin"), 0o755))
		for i := range n {
			require.NoError(b, os.WriteFile(filepath.Join(dir, fmt.Sprintf("payload/bin/tool-%d", i)), nil, 0o644))
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) { loads(b, dir, n) })
	}
}

func loads(b *testing.B, dir string, n int) {
	b.ReportAllocs()
	o := options(dir)
	for b.Loop() {
		config, _, diags := desired.Load(context.Background(), o)
		require.Empty(b, diags)
		require.Len(b, config.Nodes[0].Objects, n)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/object")
}
