// Package openflow looks after the flows of Open vSwitch's bridges (OpenFlow 1.3 and later). What a flow says is parsed, and written to the
// switch, by ovs-ofctl(8), the reference implementation: all flows of a bridge in one bundle, which the switch carries out whole or not at
// all. It may import state and providers/internal/*.
//
// On the switch a flow of opdbus' has a cookie that begins with cookiePrefix and goes on with a digest of its name, so that it is known by it
// whatever becomes of the rest of it. Flows are not in the switch's database: they go with ovs-vswitchd.
package openflow

import (
	"github.com/opdbus/opdbus/providers/internal/ovsdb"
	"github.com/opdbus/opdbus/state"
)

// provider is the provider's name, and that of the plugin whose blocks these are.
const provider = "openflow"

// Kinds are the kinds of the provider.
func Kinds() state.Kinds {
	return kindsOf(newSwitch(ovsdb.New(ovsdb.DefaultAddress), ovsdb.DefaultDir))
}

func kindsOf(s *vswitch) state.Kinds {
	return state.Kinds{
		state.KindOf[Flow](provider, "flow", &flows{s}),
		state.KindOf[Bridge](provider, "bridge", &bridges{s}),
	}
}
