package registry

import (
	"context"
	"errors"
	"fmt"

	"github.com/opdbus/opdbus/state"
)

// Accept says which version the plugin's block has to say. All else in a registration is computed.
func (r *registrations) Accept(_ context.Context, _ *state.Node, item state.Item[Registration], live Registration) (state.Acceptance, error) {
	computed := item.Want
	computed.Version = live.Version
	switch {
	case live.Problem != "":
		return state.Acceptance{}, fmt.Errorf("what stands there is no registration of opdbus' (%s); opdbus apply puts it back", live.Problem)
	case !computed.Same(live):
		return state.Acceptance{}, errors.New("all but the version of a registration is computed from what the plugin is; opdbus apply puts it back")
	case item.Want.Stage != "":
		return state.Acceptance{}, fmt.Errorf("it is registered by the plugins of %s; set the version %q by hand where the plugin has it: in its plugin.toml, its plugin block, or the stage", item.Addr.Node, live.Version)
	}
	return state.Acceptance{Set: []state.Setting{{Name: "version", Value: live.Version}}}, nil
}
