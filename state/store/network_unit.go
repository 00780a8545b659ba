package store

import "fmt"

// networkUnitText is the unit that makes again, at boot, what of the network goes with a boot. It comes after systemd-networkd, which is to make what it has
// files for, and where it has not done so by then, finds it made; after Open vSwitch, which brings up its own bridges, and after the bus, over which devices in userspace are started; and before whatever waits for the network. It tries again, as a
// run that was cut off may have to be recovered first, which may take several attempts.
func networkUnitText(dir, program string) string {
	return fmt.Sprintf(`[Unit]
Description=Bring up the network that opdbus made
RequiresMountsFor=%s
After=opdbus-recover.service dbus.socket network-pre.target systemd-networkd.service ovsdb-server.service ovs-vswitchd.service
Before=network.target
Wants=network.target
ConditionFileIsExecutable=%s
StartLimitIntervalSec=10min
StartLimitBurst=5

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=%s
TimeoutStartSec=15min
Restart=on-failure
RestartSec=15

[Install]
WantedBy=multi-user.target
`, quote(dir), literal(program), command(dir, program, "reinstate --changed --lock-timeout 10m"))
}

// switchUnitText is the unit that puts back what went with the daemon of Open vSwitch, and switchPathText that which starts it: when there is
// something new in the directory of the daemon's sockets, such as those of its bridges.
func switchUnitText(dir, program string) string {
	return fmt.Sprintf(`[Unit]
Description=Put back the flows that opdbus made
RequiresMountsFor=%s
After=opdbus-network.service
ConditionFileIsExecutable=%s
StartLimitIntervalSec=0

[Service]
Type=oneshot
ExecStart=%s
TimeoutStartSec=15min
Restart=on-failure
RestartSec=15
`, quote(dir), literal(program), command(dir, program, "reinstate --lock-timeout 10m"))
}

func switchPathText(program, service string) string {
	return fmt.Sprintf(`[Unit]
Description=Restart of Open vSwitch
ConditionFileIsExecutable=%s

[Path]
PathChanged=/run/openvswitch
Unit=%s

[Install]
WantedBy=paths.target
`, literal(program), service)
}
