package desired

import (
	"cmp"
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/opdbus/opdbus/state"
)

// unwrapPath takes the path off an error, for who names it already.
func unwrapPath(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

func plainDiag(at hcl.Range, summary, detail string) hcl.Diagnostics {
	d := &hcl.Diagnostic{Severity: hcl.DiagError, Summary: summary, Detail: detail}
	if at.Filename != "" {
		d.Subject = &at
	}
	return hcl.Diagnostics{d}
}

// hclDiags takes up what hcl found.
func (l *loader) hclDiags(diags hcl.Diagnostics) {
	for _, d := range diags {
		s := state.Diagnostic{Summary: d.Summary, Detail: d.Detail}
		if d.Severity == hcl.DiagWarning {
			s.Severity = state.Warning
		}
		if d.Subject != nil {
			s.Subject = rangeOf(*d.Subject)
		}
		l.diags = append(l.diags, s)
	}
}

// errorf reports a mistake at a place.
func (l *loader) errorf(at hcl.Range, summary, detail string, args ...any) {
	l.diags.Errorf(rangeOf(at), summary, detail, args...)
}

// tidy sorts diagnostics by place, those without one first, and leaves out what is said twice.
func tidy(ds state.Diagnostics) state.Diagnostics {
	slices.SortStableFunc(ds, func(a, b state.Diagnostic) int {
		return cmp.Or(
			strings.Compare(a.Subject.File, b.Subject.File),
			cmp.Compare(a.Subject.Byte, b.Subject.Byte),
			cmp.Compare(a.Subject.EndByte, b.Subject.EndByte),
			cmp.Compare(a.Severity, b.Severity),
			strings.Compare(a.Summary, b.Summary),
			strings.Compare(a.Detail, b.Detail))
	})
	return slices.Compact(ds)
}

// WriteDiagnostics prints diagnostics with excerpts of their sources; a width of 0 does not wrap lines.
func (f *Files) WriteDiagnostics(w io.Writer, ds state.Diagnostics, width uint, color bool) error {
	files := map[string]*hcl.File{}
	if f != nil {
		for name, file := range f.files {
			files[f.display(name)] = file
		}
	}
	out := make(hcl.Diagnostics, len(ds))
	for i, d := range ds {
		out[i] = &hcl.Diagnostic{Severity: hcl.DiagError, Summary: d.Summary, Detail: d.Detail}
		if d.Severity == state.Warning {
			out[i].Severity = hcl.DiagWarning
		}
		if !d.Subject.IsZero() {
			r := hclRange(d.Subject)
			r.Filename = f.display(r.Filename)
			out[i].Subject = &r
		}
	}
	return hcl.NewDiagnosticTextWriter(w, files, width, color).WriteDiagnostics(out)
}

func hclRange(r state.Range) hcl.Range {
	return hcl.Range{
		Filename: r.File,
		Start:    hcl.Pos{Line: r.Line, Column: r.Column, Byte: r.Byte},
		End:      hcl.Pos{Line: r.EndLine, Column: r.EndColumn, Byte: r.EndByte},
	}
}
