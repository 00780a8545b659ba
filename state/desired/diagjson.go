package desired

import (
	"bytes"
	"encoding/json"

	"github.com/opdbus/opdbus/state"
)

// A validation is what `terraform validate -json` prints, whose readers work on it unchanged.
type validation struct {
	FormatVersion string       `json:"format_version"`
	Valid         bool         `json:"valid"`
	ErrorCount    int          `json:"error_count"`
	WarningCount  int          `json:"warning_count"`
	Diagnostics   []diagnostic `json:"diagnostics"`
}

type diagnostic struct {
	Severity string     `json:"severity"`
	Summary  string     `json:"summary"`
	Detail   string     `json:"detail"`
	Range    *textRange `json:"range,omitempty"`
	Snippet  *snippet   `json:"snippet,omitempty"`
}

type textRange struct {
	Filename string   `json:"filename"`
	Start    position `json:"start"`
	End      position `json:"end"`
}

type position struct {
	Line   int `json:"line"`
	Column int `json:"column"`
	Byte   int `json:"byte"`
}

// A snippet is the lines that a diagnostic is about. The offsets are in bytes of the code; context says which block it is in.
type snippet struct {
	Context              *string    `json:"context"`
	Code                 string     `json:"code"`
	StartLine            int        `json:"start_line"`
	HighlightStartOffset int        `json:"highlight_start_offset"`
	HighlightEndOffset   int        `json:"highlight_end_offset"`
	Values               []struct{} `json:"values"`
}

// JSON is diagnostics in the shape of `terraform validate -json`.
func (f *Files) JSON(ds state.Diagnostics) ([]byte, error) {
	v := validation{FormatVersion: "1.0", Diagnostics: []diagnostic{}}
	for _, d := range ds {
		out := diagnostic{Severity: d.Severity.String(), Summary: d.Summary, Detail: d.Detail}
		if d.Severity == state.Warning {
			v.WarningCount++
		} else {
			v.ErrorCount++
		}
		if !d.Subject.IsZero() {
			out.Range = &textRange{f.display(d.Subject.File),
				position{d.Subject.Line, d.Subject.Column, d.Subject.Byte},
				position{d.Subject.EndLine, d.Subject.EndColumn, d.Subject.EndByte}}
			out.Snippet = f.snippet(d.Subject)
		}
		v.Diagnostics = append(v.Diagnostics, out)
	}
	v.Valid = v.ErrorCount == 0
	return json.MarshalIndent(v, "", "  ")
}

func (f *Files) snippet(r state.Range) *snippet {
	if f == nil || f.files[r.File] == nil {
		return nil
	}
	file := f.files[r.File]
	src := file.Bytes
	if r.Byte > len(src) || r.EndByte > len(src) || r.EndByte < r.Byte {
		return nil
	}
	start := bytes.LastIndexByte(src[:r.Byte], '\n') + 1
	end := len(src)
	if i := bytes.IndexByte(src[r.EndByte:], '\n'); i >= 0 {
		end = r.EndByte + i
	}
	s := &snippet{Code: string(src[start:end]), StartLine: r.Line,
		HighlightStartOffset: r.Byte - start, HighlightEndOffset: r.EndByte - start, Values: []struct{}{}}
	if nav, ok := file.Nav.(interface{ ContextString(offset int) string }); ok {
		if context := nav.ContextString(r.Byte); context != "" {
			s.Context = &context
		}
	}
	return s
}
