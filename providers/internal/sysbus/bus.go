package sysbus

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/godbus/dbus/v5"
)

const (
	// DefaultTimeout is how long a call may take, as with other clients of the bus.
	DefaultTimeout = 25 * time.Second
	// connectTimeout is how long it may take to be let onto the bus, which is up to the bus alone.
	connectTimeout = 5 * time.Second

	defaultAddress = "unix:path=/run/dbus/system_bus_socket"

	busName  = "org.freedesktop.DBus"
	busPath  = "/org/freedesktop/DBus"
	busCalls = "org.freedesktop.DBus."
)

// A Bus is a connection to a bus that is made when it is first needed, and made again after the bus has gone.
type Bus struct {
	address string

	mu     sync.Mutex
	conn   *connection
	closed bool
}

// A connection is one for as long as it lasts.
type connection struct {
	*dbus.Conn
	subscriptions *subscriptions
}

// New is the bus at an address; empty is the system bus.
func New(address string) *Bus {
	if address == "" {
		address = os.Getenv("DBUS_SYSTEM_BUS_ADDRESS")
	}
	if address == "" {
		address = defaultAddress
	}
	return &Bus{address: address}
}

// Close ends the connection, and with it all subscriptions.
func (b *Bus) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	if b.conn == nil {
		return nil
	}
	err := b.conn.Close()
	b.conn = nil
	return err
}

// connect is the connection there is, or a new one.
func (b *Bus) connect(ctx context.Context) (*connection, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, errors.New("the connection to the bus has been closed")
	}
	if b.conn != nil && b.conn.Context().Err() == nil {
		return b.conn, nil
	}
	b.conn = nil
	conn, err := b.dial(ctx)
	if err != nil {
		return nil, fmt.Errorf("cannot connect to the bus at %s: %w", b.address, err)
	}
	b.conn = conn
	return conn, nil
}

// dial connects within connectTimeout. The library's own calls that introduce a client to the bus know no deadline, and a bus that hangs
// answers none of them: the connection is closed under them then.
func (b *Bus) dial(ctx context.Context) (*connection, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	type dialled struct {
		conn *dbus.Conn
		err  error
	}
	signals := newSubscriptions()
	// Signals come in the order in which they were sent, and a channel that nobody reads must not keep answers from coming.
	conn, err := dbus.Dial(b.address, dbus.WithSignalHandler(signals))
	if err != nil {
		return nil, err
	}
	done := make(chan dialled, 1)
	go func() {
		err := conn.Auth(nil)
		if err == nil {
			err = conn.Hello()
		}
		done <- dialled{conn, err}
	}()
	select {
	case d := <-done:
		if d.err != nil {
			return nil, errors.Join(d.err, conn.Close())
		}
	case <-ctx.Done():
		_ = conn.Close()
		return nil, fmt.Errorf("the bus does not answer: %w", ctx.Err())
	}
	go func() {
		<-conn.Context().Done()
		signals.end(errors.New("the bus has gone"))
	}()
	return &connection{conn, signals}, nil
}
