package machine

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// snapshotName is the name of the snapshot of the emulated machine that has booted, as QEMU has it.
const snapshotName = "booted"

// payloadSize is the size of the disk over which files get onto an emulated machine. It is part of what the snapshot knows of the disk.
const payloadSize = 256 << 20

// emulable tells why the host's processor can have no emulated machine.
func emulable() error {
	if runtime.GOARCH != "amd64" {
		return fmt.Errorf("no emulated machine for %s: internal/machine/qemu.go has neither QEMU's type of machine nor its firmware for it, and vm.sh no kernel", runtime.GOARCH)
	}
	return nil
}

// hardware is what an emulated machine has. Its two network cards are the two ends of one cable, and there is nothing of the host's but its disk.
func hardware() []string {
	return []string{
		"-accel", "tcg,thread=multi,tb-size=512", "-cpu", "max", "-smp", "2", "-m", "1536", "-machine", "q35,hpet=off",
		"-nodefaults", "-no-user-config", "-nographic", "-no-reboot",
		"-append", "console=ttyS0 quiet mitigations=off nokaslr tsc=reliable no_timer_check panic=-1",
		"-device", "virtio-blk-pci,drive=disk", "-device", "virtio-blk-pci,drive=payload,serial=payload", "-device", "virtio-rng-pci",
		"-device", "virtio-serial-pci", "-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0",
		"-netdev", "hubport,id=end0,hubid=0", "-device", "virtio-net-pci,netdev=end0,mac=52:54:00:00:00:01,addr=0x10,romfile=",
		"-netdev", "hubport,id=end1,hubid=0", "-device", "virtio-net-pci,netdev=end1,mac=52:54:00:00:00:02,addr=0x11,romfile=",
	}
}

// emulator is the command that emulates a machine whose files are in dir, and whose kernel and disk are those in base.
func emulator(base, dir string, args ...string) ([]string, error) {
	type node map[string]any
	argv := append([]string{"qemu-system-x86_64"}, hardware()...)
	argv = append(argv, "-kernel", filepath.Join(base, "vmlinuz"), "-initrd", filepath.Join(base, "initrd"))
	file := func(name string) node { return node{"driver": "file", "filename": name} }
	for _, drive := range []node{
		{"node-name": "disk", "driver": "qcow2", "file": file(filepath.Join(dir, "disk.qcow2")), "discard": "unmap",
			"cache":   node{"no-flush": true},
			"backing": node{"driver": "raw", "read-only": true, "file": file(filepath.Join(base, "disk.img"))}},
		{"node-name": "payload", "driver": "raw", "read-only": true, "file": file(filepath.Join(dir, "payload"))},
	} {
		text, err := json.Marshal(drive)
		if err != nil {
			return nil, err
		}
		argv = append(argv, "-blockdev", string(text))
	}
	// The paths of sockets are relative: Linux has 108 bytes for one.
	argv = append(argv, "-chardev", "socket,id=agent,path=agent,server=on,wait=off", "-serial", "file:console",
		"-qmp", "unix:monitor,server=on,wait=off")
	return append(argv, args...), nil
}

// emulate starts the emulator in dir, which has its disk, in cgroups of its own.
func emulate(base, dir string, cgroups []string, args ...string) (*boot, error) {
	payload, err := os.Create(filepath.Join(dir, "payload"))
	if err != nil {
		return nil, err
	}
	defer payload.Close()
	if err := payload.Truncate(payloadSize); err != nil {
		return nil, err
	}
	said, err := os.Create(filepath.Join(dir, "emulator"))
	if err != nil {
		return nil, err
	}
	defer said.Close()
	argv, err := emulator(base, dir, args...)
	if err != nil {
		return nil, err
	}
	b := &boot{cmd: exec.Command("sh", append(append(append([]string{"-c", emulateScript, "emulate.sh"}, cgroups...), "--"), argv...)...), exited: make(chan struct{})}
	b.cmd.Dir, b.cmd.Stdout, b.cmd.Stderr = dir, said, said
	return b, b.run()
}

// spoken is what the emulator in dir said, and what the machine's kernel did.
func spoken(dir string) string {
	var all []string
	for _, name := range []string{"emulator", "console"} {
		text, _ := os.ReadFile(filepath.Join(dir, name))
		all = append(all, strings.TrimSpace(string(text)))
	}
	return strings.TrimSpace(strings.Join(all, "\n"))
}
