package desired_test

import (
	"os"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/state/desired"
)

func TestTranslate(t *testing.T) {
	src, err := os.ReadFile("../../examples/privacy-tunnel/state.json")
	require.NoError(t, err)
	text, _, diags := desired.Translate("state.json", src)
	require.False(t, diags.HasErrors(), "%v", diags)
	require.Len(t, diags, 1)
	assert.Equal(t, "state.json:51,28", diags[0].Subject.String())
	assert.Equal(t, 1, strings.Count(string(text), `driver    = "openvswitch"`), "one bridge")
	assert.Equal(t, 2, strings.Count(string(text), `type      = "internal"`), "and two ports")

	for name, c := range map[string]struct{ src, summary, place string }{
		"no JSON":                   {`{"version": 1,` + "\n" + `"plugins": }`, "Invalid JSON", "2,11"},
		"another version":           {`{"version": 2, "plugins": {}}`, "Unknown version", "1,1"},
		"no plugins":                {`{"version": 1}`, "Missing plugins", "1,1"},
		"an unknown section":        {`{"version": 1, "plugins": {"nett": {}}}`, "Unsupported member", "1,36"},
		"a list":                    {`[]`, "Incorrect type", "1,1"},
		"two documents":             {`{"version": 1, "plugins": {}} {}`, "Invalid JSON", "1,32"},
		"an address without length": {netOf(`{"name": "a", "type": "existing", "ipv4": {"address": ["10.0.0.1"]}}`), "Invalid address", ""},
		"an address in parts":       {netOf(`{"name": "a", "type": "existing", "ipv4": {"address": [{"ip": "10.0.0.1"}]}}`), "Incomplete address", ""},
		"an address of IPv6":        {netOf(`{"name": "a", "type": "existing", "ipv4": {"address": ["fd00::1/64"]}}`), "Invalid address", ""},
		"DHCP":                      {netOf(`{"name": "a", "type": "existing", "ipv4": {"dhcp": true}}`), "No DHCP", ""},
		"a port without bridge":     {netOf(`{"name": "a", "type": "ovs-port"}`), "Missing bridge", ""},
		"two of a name":             {netOf(`{"name": "a", "type": "dummy"}, {"name": "a", "type": "dummy"}`), "Duplicate interface", ""},
		"no name":                   {netOf(`{"type": "dummy"}`), "Incomplete interface", ""},
		"a wrong type":              {netOf(`{"name": 1, "type": "dummy"}`), "Incorrect type", ""},
		"not enabled":               {netOf(`{"name": "a", "type": "dummy", "ipv4": {"enabled": false, "address": ["10.0.0.1/8"]}}`), "Addresses that are not enabled", ""},
		"a flow without actions":    {`{"version": 1, "plugins": {"openflow": {"bridges": [{"name": "a", "flows": [{"table": 0}]}]}}}`, "Missing actions", ""},
		"half an action":            {`{"version": 1, "plugins": {"openflow": {"bridges": [{"name": "a", "flows": [{"actions": [{"type": "output"}]}]}]}}}`, "Incomplete action", ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, diags := desired.Translate("state.json", []byte(c.src))
			require.True(t, diags.HasErrors())
			assert.Equal(t, c.summary, diags[0].Summary, "%v", diags)
			if c.place != "" {
				assert.Equal(t, "state.json:"+c.place, diags[0].Subject.String())
			}
		})
	}
	t.Run("all kinds of interfaces, actions and matches", func(t *testing.T) {
		text, _, diags := desired.Translate("state.json", []byte(`{"version": 1, "plugins": {
"net": {"interfaces": [
  {"name": "br0", "type": "bridge", "ports": ["eth0"], "ipv4": {"enabled": true, "address": ["10.0.0.1/24", {"ip": "10.0.1.1", "prefix": 24}], "gateway": "10.0.0.254"}, "ipv6": {"address": ["fd00::1/64"], "gateway": "fd00::2"}},
  {"name": "o0", "type": "ovs-bridge", "ports": ["eth1", "p1"], "fail_mode": "secure"}, {"name": "p1", "type": "ovs-port", "bridge": "o0", "tag": 7},
  {"name": "eth0", "type": "ethernet", "mtu": 9000}, {"name": "v5", "type": "vlan", "parent": "eth0", "vlan_id": 5}]},
"openflow": {"enable_security_flows": false, "bridges": [{"name": "o0", "flows": [{"table": 1, "priority": 7, "idle_timeout": 60, "match_fields": {"tcp": null, "tcp_dst": 22, "in_port": "p1"},
  "actions": [{"type": "set_field", "field": "ip_dst", "value": "10.0.0.9"}, {"type": "output", "port": "p1"}, {"type": "resubmit", "table": 2}, "normal"]}]}]}}}`))
		require.Empty(t, diags)
		assert.Equal(t, `network "main" {
  bridge "br0" {
    driver    = "kernel"
    ports     = ["eth0"]
    addresses = ["10.0.0.1/24", "10.0.1.1/24", "fd00::1/64"]
  }
  route "default-br0-0" {
    destination = "0.0.0.0/0"
    via         = "10.0.0.254"
    link        = "br0"
  }
  route "default-br0-1" {
    destination = "::/0"
    via         = "fd00::2"
    link        = "br0"
  }
  bridge "o0" {
    driver    = "openvswitch"
    fail_mode = "secure"
  }
  port "eth1" {
    bridge = "o0"
  }
  port "p1" {
    type   = "internal"
    bridge = "o0"
    tag    = 7
  }
  link "eth0" {
    kind = "existing"
    mtu  = 9000
  }
  link "v5" {
    kind    = "vlan"
    parent  = "eth0"
    vlan_id = 5
  }
}

plugin "openflow" {
  dependencies = [network.main]
  bridge "o0" {
    flow "flow-0" {
      table    = 1
      priority = 7
      match = {
        in_port = "p1"
        tcp     = ""
        tcp_dst = "22"
      }
      actions      = ["set_field:10.0.0.9->ip_dst", "output:p1", "resubmit(,2)", "normal"]
      idle_timeout = 60
    }
  }
}
`, string(text))
	})
}

func netOf(interfaces string) string {
	return `{"version": 1, "plugins": {"net": {"interfaces": [` + interfaces + `]}}}`
}

// What is translated can be read, and no document has the translation panic.
func FuzzTranslate(f *testing.F) {
	src, err := os.ReadFile("../../examples/privacy-tunnel/state.json")
	require.NoError(f, err)
	f.Add(src)
	f.Add([]byte(netOf(`{"name": "a\n${b}", "type": "dummy", "ipv4": {"address": ["10.0.0.1/8"], "gateway": "10.0.0.2"}}`)))
	f.Fuzz(func(t *testing.T, src []byte) {
		text, files, diags := desired.Translate("state.json", src)
		require.NoError(t, files.WriteDiagnostics(&strings.Builder{}, diags, 80, false))
		if !diags.HasErrors() {
			_, parsed := hclparse.NewParser().ParseHCL(text, "state.json.hcl")
			require.False(t, parsed.HasErrors(), "%s: %v", text, parsed)
		}
	})
}
