package net

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/state"
)

func TestConnection(t *testing.T) {
	clean(t, "c0", "c1")
	for _, command := range []string{
		"link add c0 type bridge", "link add c1 address 02:00:00:00:00:c1 master c0 type veth peer name c2", "link set c0 up", "addr add 192.0.2.9/24 dev c0",
		"addr add 198.51.100.9/24 dev c0", "route add 203.0.113.0/24 via 192.0.2.1",
	} {
		ip(t, strings.Fields(command)...)
	}
	link := func(name string) Link { return Link{Name: name, Kind: existing, MTU: p(1400)} }
	wider := Link{Name: "c0", Kind: existing, MTU: p(1500)}
	address := func(link, text string) Address { return Address{Name: "a", Link: link, Address: text} }
	route := func(to string, metric int) Route {
		return Route{Name: "r", Destination: to, Via: p("192.0.2.2"), Metric: p(metric)}
	}
	for _, c := range []struct {
		from, kind    string
		before, after state.Object
		want          string
	}{
		{"203.0.113.5", "link", link("c0"), wider, "carries"},
		{"203.0.113.5", "link", link("c1"), nil, "carries"},
		{"203.0.113.5", "link", matched("wan", "02:00:00:00:00:c1"), nil, "carries"},
		{"203.0.113.5", "link", nil, link("c3"), ""},
		{"203.0.113.5", "link", link("c2"), nil, ""},
		{"203.0.113.5", "address", address("c0", "192.0.2.9/24"), nil, "is the end of"},
		{"203.0.113.5", "address", address("c0", "198.51.100.9/24"), nil, "is on the link of"},
		{"203.0.113.5", "address", nil, address("c0", "192.0.2.10/24"), ""},
		{"203.0.113.5", "address", nil, address("c2", "203.0.113.1/24"), "draws to link c2"},
		{"203.0.113.5", "route", route("203.0.113.0/24", 0), nil, "is the way of"},
		{"203.0.113.5", "route", nil, route("203.0.113.0/25", 9), "is the way of"},
		{"203.0.113.5", "route", nil, route("203.0.113.0/24", 9), ""},
		{"203.0.113.5", "route", nil, route("default", 0), ""},
		{"203.0.113.5", "rule", nil, Rule{Name: "r", Priority: 9, To: p("203.0.113.0/24"), Table: p(9)}, "says by which table goes"},
		{"203.0.113.5", "rule", nil, Rule{Name: "r", Priority: 9, FwMark: p(1), Table: p(9)}, ""},
		{"203.0.113.5", "rule", nil, Rule{Name: "r", Priority: 9, From: p("10.0.0.0/8"), Table: p(9)}, ""},
		{"192.0.2.77", "route", nil, route("default", 0), ""},
		{"127.0.0.1", "link", link("c0"), nil, ""},
	} {
		t.Setenv("SSH_CONNECTION", c.from+" 50000 192.0.2.9 22")
		how, err := kinds().For(addr(c.kind, "")).Endangers(t.Context(), state.Change{Before: c.before, After: c.after})
		require.NoError(t, err)
		want := c.want
		if want != "" {
			want += " your connection from " + c.from
		}
		assert.Equal(t, want, how, "%+v", c)
	}
}
