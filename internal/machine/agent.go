package machine

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"time"
)

// How long the agent may take to answer, and how long an attempt to be heard by it lasts. Both are for hosts that have much else to do.
const (
	answerPatience  = 2 * time.Minute
	attemptPatience = 3 * time.Second
)

// A dialogue is a connection over which commands and answers go as lines of JSON: with the emulator (QMP, its monitor's protocol) or
// with qemu-guest-agent(8), which runs on the emulated machine.
type dialogue struct {
	conn net.Conn
	in   *bufio.Reader
}

func dial(path string) (*dialogue, error) {
	conn, err := net.Dial("unix", path)
	if err != nil {
		return nil, err
	}
	return &dialogue{conn: conn, in: bufio.NewReader(conn)}, nil
}

// call has a command done, and puts what it returns into answer, which may be nil.
func (d *dialogue) call(command string, arguments map[string]any, answer any) error {
	if err := d.conn.SetDeadline(time.Now().Add(answerPatience)); err != nil {
		return err
	}
	if err := d.send(command, arguments); err != nil {
		return fmt.Errorf("%s: %w", command, err)
	}
	for {
		line, err := d.in.ReadBytes('\n')
		if err != nil {
			return fmt.Errorf("%s: %w", command, err)
		}
		var message struct {
			Return json.RawMessage
			Error  *struct{ Desc string }
		}
		if err := json.Unmarshal(line, &message); err != nil {
			return fmt.Errorf("%s: %w: %s", command, err, line)
		}
		switch {
		case message.Error != nil:
			return fmt.Errorf("%s: %s", command, message.Error.Desc)
		case message.Return != nil && answer != nil:
			return json.Unmarshal(message.Return, answer)
		case message.Return != nil:
			return nil
		} // else it is the greeting or an event
	}
}

func (d *dialogue) send(command string, arguments map[string]any) error {
	text, err := json.Marshal(map[string]any{"execute": command, "arguments": arguments})
	if err == nil {
		_, err = d.conn.Write(append(text, '\n'))
	}
	return err
}

// reach speaks to the agent until it answers, which it does when the machine has started it.
func reach(path string, b *boot, patience time.Duration) (*dialogue, error) {
	for end := time.Now().Add(patience); ; {
		d, err := dial(path)
		if err == nil {
			if err = d.synchronize(); err == nil {
				return d, nil
			}
			_ = d.conn.Close()
		}
		select {
		case <-b.exited:
			return nil, fmt.Errorf("%w: %w", errGone, errors.Join(b.err, err))
		case <-time.After(50 * time.Millisecond):
		}
		if time.Now().After(end) {
			return nil, fmt.Errorf("its agent does not answer: %w", err)
		}
	}
}

// synchronize skips what the agent may still have to say to somebody who is gone, and has it forget what that one began to say. Each of
// the two sides marks the place by a byte that no JSON has in it.
func (d *dialogue) synchronize() error {
	if err := d.conn.SetDeadline(time.Now().Add(attemptPatience)); err != nil {
		return err
	}
	id := rand.Int32()
	if _, err := d.conn.Write([]byte{0xff}); err != nil {
		return err
	}
	if err := d.send("guest-sync-delimited", map[string]any{"id": id}); err != nil {
		return err
	}
	for {
		if _, err := d.in.ReadBytes(0xff); err != nil {
			return err
		}
		line, err := d.in.ReadBytes('\n')
		if err != nil {
			return err
		}
		var answer struct{ Return *int32 }
		if json.Unmarshal(line, &answer) == nil && answer.Return != nil && *answer.Return == id {
			return nil
		}
	}
}

// exec has the agent run a script of the shell with its arguments until it ends; when ctx ends first, it goes on. It returns the exit code, which for one that a signal
// ended is 128 and the signal's number, and what it printed on its standard output, of which the agent keeps 16 MiB.
func (d *dialogue) exec(ctx context.Context, script string, argv ...string) (code int, out string, err error) {
	var started struct{ Pid int }
	arguments := map[string]any{"path": "/bin/sh", "arg": append([]string{"-c", script, "sh"}, argv...), "capture-output": true,
		"env": []string{"HOME=/root", "LANG=C.UTF-8", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}}
	if err := d.call("guest-exec", arguments, &started); err != nil {
		return 0, "", err
	}
	for wait := 10 * time.Millisecond; ; wait = min(wait*3/2, 500*time.Millisecond) {
		var status struct {
			Exited       bool
			Exitcode     int
			Signal       int
			Out          string `json:"out-data"`
			OutTruncated bool   `json:"out-truncated"`
		}
		if err := d.call("guest-exec-status", map[string]any{"pid": started.Pid}, &status); err != nil {
			return 0, "", err
		}
		switch {
		case status.OutTruncated:
			return 0, "", fmt.Errorf("%s printed more than the agent keeps", script)
		case status.Exited && status.Signal != 0:
			status.Exitcode = 128 + status.Signal
			fallthrough
		case status.Exited:
			text, err := base64.StdEncoding.DecodeString(status.Out)
			return status.Exitcode, string(text), err
		}
		select {
		case <-ctx.Done():
			return 0, "", errUnfinished
		case <-time.After(wait):
		}
	}
}

var errUnfinished = errors.New("it runs on")

// read reads a file of the emulated machine.
func (d *dialogue) read(path string) (string, error) {
	var handle int64
	if err := d.call("guest-file-open", map[string]any{"path": path, "mode": "r"}, &handle); err != nil {
		return "", err
	}
	var content bytes.Buffer
	for end := false; !end; {
		var part struct {
			Text string `json:"buf-b64"`
			End  bool   `json:"eof"`
		}
		if err := d.call("guest-file-read", map[string]any{"handle": handle, "count": 1 << 20}, &part); err != nil {
			return "", err
		}
		text, err := base64.StdEncoding.DecodeString(part.Text)
		if err != nil {
			return "", err
		}
		content.Write(text)
		end = part.End
	}
	return content.String(), d.call("guest-file-close", map[string]any{"handle": handle}, nil)
}
