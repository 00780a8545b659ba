package registry

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/providers/providertest"
	"github.com/opdbus/opdbus/state"
)

func TestWatch(t *testing.T) {
	host := providertest.Host(t)
	node := state.NodeAddr{Type: state.StageNode, Name: "core"}
	s := providertest.WatchSuite{Bell: host.Path(host.Registry + "/zz.toml")}
	for _, name := range []string{"net", "zz"} {
		a := state.Addr{Node: node, Kind: "registration", Key: name}
		s.Addrs, s.Made, s.Kind = append(s.Addrs, a), append(s.Made, Registration{Name: name}), Kinds(host).For(a)
	}
	at := host.Path(host.Registry + "/net.toml")
	providertest.Write(t, s.Bell, "")
	s.When("a file comes", func() { providertest.Write(t, at, "") }, "net")
	s.When("an edit", func() { providertest.Write(t, at, "x") }, "net")
	s.When("another plugin's", func() { providertest.Write(t, host.Path(host.Registry+"/other.toml"), "x") })
	s.When("a removal", func() { require.NoError(t, os.Remove(at)) }, "net")
	providertest.RunWatch(t, s)
}
