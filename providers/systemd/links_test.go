package systemd_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/providers/systemd"
	"github.com/opdbus/opdbus/state"
)

func TestOnMachineLinks(t *testing.T) {
	w := newWorld(t)
	packaged(t, map[string]string{
		"l-alias.service": "[Service]\nExecStart=sleep infinity\n[Install]\nAlias=l-other.service\n",
		"l-only.service":  "[Service]\nExecStart=sleep infinity\n[Install]\nAlias=l-third.service\n",
		"l@.service":      "[Service]\nExecStart=sleep infinity\n[Install]\nWantedBy=multi-user.target\nDefaultInstance=x\n",
		"l-off.service":   runs, "l-on.service": runs, "l-runtime.service": runs, "l-masked.service": runs, "l-required.service": strings.Replace(runs, "WantedBy", "RequiredBy", 1),
		"l-static.service": "[Service]\nExecStart=sleep infinity\n",
		"l-vendor.service": runs,
	})
	sh(t, `systemctl enable l-alias.service l@.service l@1.service l-on.service l-required.service; systemctl enable --runtime l-runtime.service; systemctl mask l-masked.service
		cp /usr/lib/systemd/system/l-off.service /root/l-linked.service; systemctl link /root/l-linked.service
		mkdir -p /usr/lib/systemd/system/multi-user.target.wants; ln -s ../l-vendor.service ../l@2.service /usr/lib/systemd/system/multi-user.target.wants`)
	t.Cleanup(func() {
		sh(t, `systemctl disable l-alias.service l@.service l@1.service l-on.service l-required.service l-linked.service; systemctl disable --runtime l-runtime.service; systemctl unmask l-masked.service
			rm /root/l-linked.service /usr/lib/systemd/system/multi-user.target.wants/l-vendor.service /usr/lib/systemd/system/multi-user.target.wants/l@2.service`)
	})
	states := map[string]string{}
	var names []string
	for line := range strings.Lines(sh(t, "systemctl list-unit-files --no-legend --no-pager")) {
		fields := strings.Fields(line)
		states[fields[0]] = fields[1]
		names = append(names, fields[0])
	}
	for _, instance := range []string{"l@1.service", "l@2.service", "l@3.service", "l@x.service"} {
		out, _ := says(t, "systemctl is-enabled "+instance)
		states[instance] = out
		names = append(names, instance)
	}
	require.Equal(t, []string{"enabled", "enabled", "static", "masked", "enabled-runtime", "linked", "alias"},
		[]string{states["l-on.service"], states["l@1.service"], states["l-static.service"], states["l-masked.service"], states["l-runtime.service"], states["l-linked.service"], states["l-other.service"]})

	for _, enabled := range []bool{false, true} {
		var wants []state.Object
		for _, name := range names {
			wants = append(wants, systemd.Unit{Name: name, Enabled: &enabled, Masked: ptr(false)})
		}
		lives, err := w.read(wants...)
		require.NoError(t, err)
		for i, live := range lives {
			u, file := live.(systemd.Unit), states[names[i]]
			assert.Equal(t, file == "enabled", *u.Enabled, "%s is %s", u.Name, file)
			assert.Equal(t, file == "masked", *u.Masked, "%s is %s", u.Name, file)
			askable := file == "enabled" || file == "disabled" || file == "masked" || !enabled && (file == "static" || file == "indirect" || file == "generated" || file == "transient")
			askable = askable || u.Name == "l@2.service" // a package wants it, and it can be enabled besides
			_, err := w.kind(u).Claim(wants[i], u)
			assert.Equal(t, askable, err == nil, "%s is %s: %v", u.Name, file, err)
		}
	}
}
