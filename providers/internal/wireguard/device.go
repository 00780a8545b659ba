// Package wireguard is a WireGuard device in userspace, for kernels that have none: what runs it is a process of its own, which lives as
// long as the device. It may import golang.zx2c4.com/wireguard, vishvananda/netlink and golang.org/x/sys/unix.
package wireguard

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	"golang.zx2c4.com/wireguard/conn"
	"golang.zx2c4.com/wireguard/device"
	"golang.zx2c4.com/wireguard/ipc"
	"golang.zx2c4.com/wireguard/tun"
)

// Command is what runs a device: opdbus COMMAND NAME UNFINISHED ALIAS.
const Command = "wireguard-device"

// Arguments are a device's name, the one that its link has until it is made, and the alias that the link has.
type Arguments struct{ Name, Unfinished, Alias string }

// List is the command with its arguments.
func (a Arguments) List() []string { return []string{Command, a.Name, a.Unfinished, a.Alias} }

// Serve makes the device and runs it until ctx ends or the link goes. Who started it is told when it is ready, or why it does not come
// to be (sd_notify(3)). What is wrong later is written to log, which never is a key.
func Serve(ctx context.Context, args []string, log io.Writer) error {
	if len(args) != 3 {
		return errors.New("give the name of the device, the one that it has until it is made, and its alias")
	}
	err := serve(ctx, Arguments{args[0], args[1], args[2]}, log)
	if err != nil {
		notify("STATUS=" + strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	return err
}

func serve(ctx context.Context, a Arguments, log io.Writer) error {
	link, err := makeLink(a)
	if err != nil {
		return fmt.Errorf("cannot make a tun device: %w", err)
	}
	said := func(format string, args ...any) { fmt.Fprintf(log, a.Name+": "+format+"\n", args...) }
	dev := device.NewDevice(link, conn.NewDefaultBind(), &device.Logger{Verbosef: device.DiscardLogf, Errorf: said})
	defer dev.Close()
	file, err := ipc.UAPIOpen(a.Name)
	if err != nil {
		return fmt.Errorf("cannot open the socket of device %s: %w", a.Name, err)
	}
	listener, err := ipc.UAPIListen(a.Name, file)
	if err != nil {
		return fmt.Errorf("cannot listen for who configures device %s: %w", a.Name, err)
	}
	defer listener.Close()
	ended := make(chan error, 1)
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				ended <- err
				return
			}
			go dev.IpcHandle(c)
		}
	}()
	notify("READY=1\nSTATUS=")
	select {
	case <-ctx.Done():
		return nil
	case <-dev.Wait(): // the link was deleted
		return nil
	case err := <-ended:
		return fmt.Errorf("nobody can configure device %s any more: %w", a.Name, err)
	}
}

// makeLink makes the link. Whatever has the name has the alias, and what has neither is known by the other name.
func makeLink(a Arguments) (tun.Device, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot open /dev/net/tun: %w", err)
	}
	request, err := unix.NewIfreq(a.Unfinished)
	if err == nil {
		request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
	}
	if err == nil {
		err = unix.SetNonblock(fd, true)
	}
	file := os.NewFile(uintptr(fd), "/dev/net/tun") // only now: the runtime polls it, and it has to be something's
	var link netlink.Link
	if err == nil {
		link, err = netlink.LinkByName(a.Unfinished)
	}
	if err == nil {
		err = netlink.LinkSetAlias(link, a.Alias)
	}
	if err == nil {
		err = netlink.LinkSetName(link, a.Name)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	made, err := tun.CreateTUNFromFile(file, device.DefaultMTU)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return made, nil
}

// notify tells the service manager, where one has started this.
func notify(text string) {
	socket := os.Getenv("NOTIFY_SOCKET")
	if socket == "" {
		return
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		return
	}
	defer c.Close()
	_, _ = io.WriteString(c, text)
}
