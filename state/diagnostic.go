package state

import (
	"fmt"
	"strings"
)

// A Range is a stretch of a source file. Lines and columns count from 1, bytes from 0.
type Range struct {
	File               string
	Line, Column, Byte int
	EndLine, EndColumn int
	EndByte            int
}

func (r Range) String() string {
	if r.File == "" {
		return "(no source)"
	}
	return fmt.Sprintf("%s:%d,%d", r.File, r.Line, r.Column)
}

// IsZero says whether the range points nowhere.
func (r Range) IsZero() bool { return r.File == "" }

// A Severity tells an error from a warning. The zero value is the error.
type Severity int

// The severities.
const (
	Error Severity = iota
	Warning
)

func (s Severity) String() string {
	if s == Warning {
		return "warning"
	}
	return "error"
}

// A Diagnostic is a mistake in what the user wrote, or a conflict between it and the host, with its place and the remedy.
type Diagnostic struct {
	Severity Severity
	Summary  string // one line
	Detail   string // what is wrong and what to do about it
	Subject  Range  // zero when it has no place in the configuration
	// Refusal says that nothing is wrong with the configuration, but a protection forbids what it asks for.
	Refusal bool
}

// Diagnostics are all the mistakes found in one go.
type Diagnostics []Diagnostic

// HasErrors says whether any of them is an error.
func (ds Diagnostics) HasErrors() bool {
	for _, d := range ds {
		if d.Severity == Error {
			return true
		}
	}
	return false
}

// Errorf adds an error at a place.
func (ds *Diagnostics) Errorf(at Range, summary, detail string, args ...any) {
	*ds = append(*ds, Diagnostic{Severity: Error, Summary: summary, Detail: fmt.Sprintf(detail, args...), Subject: at})
}

// Warnf adds a warning at a place.
func (ds *Diagnostics) Warnf(at Range, summary, detail string, args ...any) {
	*ds = append(*ds, Diagnostic{Severity: Warning, Summary: summary, Detail: fmt.Sprintf(detail, args...), Subject: at})
}

// Err is the diagnostics as an error, nil when none of them is one.
func (ds Diagnostics) Err() error {
	if ds.HasErrors() {
		return DiagnosticsError{ds}
	}
	return nil
}

// A DiagnosticsError carries diagnostics through code that returns errors; who prints takes it apart.
type DiagnosticsError struct{ Diagnostics Diagnostics }

func (e DiagnosticsError) Error() string {
	var lines []string
	for _, d := range e.Diagnostics {
		line := d.Summary
		if !d.Subject.IsZero() {
			line = d.Subject.String() + ": " + line
		}
		if d.Detail != "" {
			line += ": " + d.Detail
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}
