package cli_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/reconciler/faulttest"
)

// TestSyncs counts how often an apply waits for the disk: a node of 10,000 links costs what one of 10 does.
func TestSyncs(t *testing.T) {
	counts := map[int]string{}
	for _, links := range []int{10, 10_000} {
		w := newWorld(t, 1024)
		w.config("v1", "main.hcl", fmt.Sprintf(`
stage "links" {
  dynamic "file" {
    for_each = flatten([for i in range(%d) : [for j in range(10) : format("f%%04d-%%d", i, j)]])
    labels   = [file.value]
    content {
      target  = "/etc/links/${file.value}"
      content = file.value
    }
  }
}
`, links/10))
		w.must("init")
		cmd := w.command("apply", "--auto-approve", "v1")
		var said bytes.Buffer
		cmd.Stderr = &said
		r := faulttest.Run(t, cmd, faulttest.Options{Calls: []string{"fsync", "fdatasync", "syncfs"}})
		require.True(t, r.State.Success(), "%s", said.String())
		names := map[string]int{}
		for _, c := range r.Calls {
			names[c.Name]++
		}
		counts[links] = fmt.Sprint(names)
	}
	assert.Equal(t, counts[10], counts[10_000])
	t.Logf("an apply of a node calls %s", counts[10])
}
