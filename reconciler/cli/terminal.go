package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// The colours.
const (
	red    = "31"
	green  = "32"
	yellow = "33"
	bold   = "1"
)

func isTerminal(f any) bool {
	file, ok := f.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// colored says whether w gets colours.
func (a *app) colored(w io.Writer) bool {
	return !a.noColor && a.getenv("NO_COLOR") == "" && a.getenv("TERM") != "dumb" && isTerminal(w)
}

func (a *app) paint(w io.Writer, color, s string) string {
	if !a.colored(w) {
		return s
	}
	return "\x1b[" + color + "m" + s + "\x1b[0m"
}

// width is how wide the terminal is; 0 when w is none.
func width(w io.Writer) int {
	if file, ok := w.(*os.File); ok {
		if columns, _, err := term.GetSize(int(file.Fd())); err == nil {
			return columns
		}
	}
	return 0
}

// confirm asks, and only yes is yes. Where nobody can answer it is an error rather than a wait.
func (a *app) confirm(ctx context.Context, question string) error {
	if !isTerminal(a.in) {
		return errors.New("there is no terminal to ask for confirmation on; give --auto-approve to go on without")
	}
	fmt.Fprintf(a.err, "\n%s\n  Only 'yes' is accepted: ", a.paint(a.err, bold, question))
	answers := make(chan string, 1) // the reader is left behind when ctx ends first
	go func() {
		answer, _ := bufio.NewReader(a.in).ReadString('\n')
		answers <- strings.TrimSpace(answer)
	}()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case answer := <-answers:
		if answer != "yes" {
			return errors.New("not confirmed; nothing was changed")
		}
		return nil
	}
}
