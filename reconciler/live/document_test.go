package live_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestStateDocument plans and applies the staging guide's state.json as it is: one bridge, two internal ports, their addresses and flows. The
// HCL that it is translated to plans to the same.
func TestStateDocument(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("../../examples/privacy-tunnel/state.json")
	require.NoError(t, err)
	h := newHost(t)
	h.Put("/root/state.json", string(source), 0o644)
	h.Do("mkdir", "/root/config")
	place := regexp.MustCompile(` +(state\.json|main\.hcl):\d+`)
	planned := func(what string) string {
		return place.ReplaceAllString(h.Do("sh", "-c", "opdbus plan --verbose "+what+" 2>/dev/null"), "")
	}
	plan := planned("/root/state.json")
	created := func(kind string) (keys []string) {
		for _, found := range regexp.MustCompile(`(?m)^ *\+ `+kind+`\["([^"]*)"\]`).FindAllStringSubmatch(plan, -1) {
			keys = append(keys, found[1])
		}
		return keys
	}
	assert.Equal(t, []string{"ovsbr0"}, created("bridge"))
	assert.Equal(t, []string{"internal_100", "internal_101"}, created("port"))
	assert.Equal(t, []string{"ovsbr0 10.0.0.1/24", "internal_100 10.0.0.100/24", "internal_101 10.0.0.101/24"}, created("address"))
	assert.Contains(t, created("flow"), "ovsbr0 table=0,priority=100")
	assert.Empty(t, created("link"))

	h.must(0, "import", "state", "/root/state.json", "--out", "/root/config/main.hcl")
	assert.Equal(t, plan, planned("/root/config"))

	// The machine's kernel may have no datapath of Open vSwitch.
	h.Put("/root/state.json", strings.Replace(string(source), `"type": "ovs-bridge",`, `"type": "ovs-bridge", "datapath_type": "netdev",`, 1), 0o644)
	h.must(0, "apply", "--auto-approve", "/root/state.json")
	h.must(0, "plan", "--detailed-exitcode", "/root/state.json")
	h.must(0, "diff", "/root/state.json")
	assert.Equal(t, "ovsbr0\n", h.Do("ovs-vsctl", "list-br"))
	assert.Equal(t, "internal_100\ninternal_101\n", h.Do("ovs-vsctl", "list-ports", "ovsbr0"))
	assert.Contains(t, h.Do("ip", "-brief", "address", "show", "internal_101"), "10.0.0.101/24")
	assert.Contains(t, h.flows("ovsbr0"), "priority=100 actions=NORMAL")
	h.must(0, "destroy", "--auto-approve", "/root/state.json")
	assert.Empty(t, h.Do("ovs-vsctl", "list-br"))
}
