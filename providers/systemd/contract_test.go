package systemd_test

import (
	"testing"

	"github.com/opdbus/opdbus/providers/providertest"
	"github.com/opdbus/opdbus/providers/systemd"
	"github.com/opdbus/opdbus/state"
)

func TestOnMachineContract(t *testing.T) {
	w := newWorld(t)
	for name, s := range map[string]providertest.Suite{
		"unit": {
			A:    systemd.Unit{Name: "contract.service", Content: ptr(runs), Enabled: ptr(true), Active: ptr(true), Properties: map[string]string{"CPUWeight": "50"}},
			B:    systemd.Unit{Name: "contract.service", Content: ptr("[Unit]\nDescription=B\n" + runs), Enabled: ptr(false), Active: ptr(true), Properties: map[string]string{"CPUWeight": "60"}},
			Bare: systemd.Unit{Name: "contract.service", Content: ptr(runs)},
		},
		"unit that is not masked": {
			A: systemd.Unit{Name: "contract.service", Content: ptr(runs), Enabled: ptr(true), Active: ptr(false)},
			B: systemd.Unit{Name: "contract.service", Content: ptr("[Unit]\nDescription=B\n" + runs), Enabled: ptr(true), Active: ptr(true), Masked: ptr(false)},
		},
		"drop_in": {
			A: systemd.DropIn{Name: "contract.service/10-a.conf", Content: "[Service]\nNice=5\n", Parents: []string{systemD + "/contract.service.d"}},
			B: systemd.DropIn{Name: "contract.service/10-a.conf", Content: "[Service]\nNice=6\n", Parents: []string{systemD + "/contract.service.d"}},
		},
		"timer": {
			A: systemd.Timer{Name: "contract", OnCalendar: "daily", Command: []string{"/bin/true", "a b", "$x%y\"\\"}},
			B: systemd.Timer{Name: "contract", OnCalendar: "*-*-* 03:00:00", Command: []string{"/bin/true"}, Persistent: ptr(true)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s.Addr = addr(s.A)
			s.Kind, s.Site, s.Dirs = w.kind(s.A), state.Site{Node: s.Addr.Node, Run: 1}, []string{systemD}
			providertest.Run(t, s)
		})
	}
}
