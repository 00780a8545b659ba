package desired_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/state/desired"
)

func TestFunctions(t *testing.T) {
	dir := write(t, "main.hcl", "", "hello.txt", "hello", "greet.tmpl", "%{ for n in names }${upper(n)} %{ endfor }",
		"d/a.conf", "", "d/b/c.conf", "", "d/b/.x", "", "d/e.txt", "")
	require.NoError(t, os.Symlink("a.conf", filepath.Join(dir, "d/link.conf")))
	require.NoError(t, os.Symlink("nothing", filepath.Join(dir, "d/dangling.conf")))
	for _, c := range []struct{ expr, want string }{
		{`abs(-1) + ceil(1.2) + floor(1.8) + max(1, 3) + min(2, 1) + signum(-4) + pow(2, 3) + log(8, 2) + parseint("ff", 16)`, `273`},
		{`[range(3), sum([1, "2"])]`, `[[0,1,2],3]`},
		{`[alltrue([true, "true"]), anytrue([false]), alltrue([]), anytrue([null, true])]`, `[true,false,true,true]`},
		{`[coalesce(null, "", "x"), coalescelist([], [1]), compact(["", "a"]), concat([1], [2]), contains(["a"], "a")]`, `["x",[1],["a"],[1,2],true]`},
		{`[chunklist([1, 2, 3], 2), distinct([1, 1]), element([1, 2], 3), flatten([[1], [[2]]]), index(["a", "b"], "b")]`, `[[[1,2],[3]],[1],2,[1,2],1]`},
		{`[keys({ b = 1, a = 2 }), values({ b = 1, a = 2 }), length("äb"), length([1]), lookup({ a = 1 }, "b", 2)]`, `[["a","b"],[2,1],2,1,2]`},
		{`[matchkeys(["i", "j"], ["a", "b"], ["b"]), merge({ a = 1 }, { a = 2 }), one([]), one(["x"]), reverse([1, 2])]`, `[["j"],{"a":2},null,"x",[2,1]]`},
		{`[setproduct(["a"], ["b"]), setunion(["a"], ["b"]), setintersection(["a"], ["a"]), setsubtract(["a", "b"], ["a"])]`, `[[["a","b"]],["a","b"],["a"],["b"]]`},
		{`[slice([1, 2, 3], 1, 2), sort(["b", "a"]), transpose({ a = ["x"] }), zipmap(["a"], [1])]`, `[[2],["a","b"],{"x":["a"]},{"a":1}]`},
		{`[tobool("true"), tolist(toset(["a"])), tomap({ a = 1 }), tonumber("1"), tostring(1)]`, `[true,["a"],{"a":1},1,"1"]`},
		{`[try(tonumber("x"), 2), can(tonumber("x")), issensitive(sensitive(1)), nonsensitive(sensitive(1))]`, `[2,false,true,1]`},
		{`[upper("a"), lower("A"), title("ab c"), trimspace(" a "), trim("xax", "x"), trimprefix("ab", "a"), trimsuffix("ab", "b"), strrev("ab")]`, `["A","a","Ab C","a","a","b","a","ba"]`},
		{`[startswith("ab", "a"), endswith("ab", "a"), strcontains("ab", "b"), substr("abc", 1, 1), chomp("a\n"), indent(2, "a\nb")]`, `[true,false,true,"b","a","a\n  b"]`},
		{`[join(",", ["a", "b"]), split(",", "a,b"), replace("aab", "a", "x"), replace("aab", "/a+/", "x"), regex("b.", "abc"), regexall("[ab]", "abc")]`, `["a,b",["a","b"],"xxb","xb","bc",["a","b"]]`},
		{`[format("%05.1f %s %q", 1.25, "a", "b"), formatlist("%s!", ["a"]), format("%%99999d")]`, `["001.2 a \"b\"",["a!"],"%99999d"]`},
		{`[formatdate("YYYY-MM-DD", "2026-01-02T03:04:05Z"), timeadd("2026-01-02T03:04:05Z", "1h"), timecmp("2026-01-01T00:00:00Z", "2026-01-01T01:00:00+01:00")]`, `["2026-01-02","2026-01-02T04:04:05Z",0]`},
		{`[cidrhost("10.0.0.0/24", -1), cidrnetmask("10.0.0.0/12"), cidrsubnet("10.0.0.0/8", 8, 2), cidrsubnets("10.1.0.0/16", 4, 4, 8), cidrhost("fd00::/64", 16)]`, `["10.0.0.255","255.240.0.0","10.2.0.0/16",["10.1.0.0/20","10.1.16.0/20","10.1.32.0/24"],"fd00::10"]`},
		{`[jsondecode("{\"a\": [1]}"), jsonencode({ a = null }), yamldecode("a: [1]"), yamlencode({ a = 1 }), csvdecode("a,b\n1,2")]`, `[{"a":[1]},"{\"a\":null}",{"a":[1]},"\"a\": 1\n",[{"a":"1","b":"2"}]]`},
		{`[base64encode("a"), base64decode("YQ=="), urlencode("a b&"), urldecode("a+b"), base64gzip("a") == base64gzip("a")]`, `["YQ==","a","a+b%26","a b",true]`},
		{`[md5("a"), sha1("a"), substr(sha256("a"), 0, 8), substr(sha512("a"), 0, 8), uuidv5("dns", "example.com")]`, `["0cc175b9c0f1b6a831c399e269772661","86f7e437faa5a7fce15d1ddcb9eaeaea377667b8","ca978112","1f40fc92","cfbff0d1-9375-5685-968c-48ce8b15ae17"]`},
		{`[file("hello.txt"), fileexists("hello.txt"), fileexists("x"), fileexists("d"), filebase64("hello.txt"), filemd5("hello.txt"), basename("a/b"), dirname("a/b")]`, `["hello",true,false,false,"aGVsbG8=","5d41402abc4b2a76b9719d911017c592","b","a"]`},
		{`[fileset("d", "*"), fileset("d", "**"), fileset(".", "d/*.conf"), fileset("d", "{a,e}.*"), fileset("${path.module}/d", "b/*.conf"), fileset("d", "x/*"), fileset("d", "**/c.conf")]`,
			`[["a.conf","e.txt","link.conf"],["a.conf","b/.x","b/c.conf","e.txt","link.conf"],["d/a.conf","d/link.conf"],["a.conf","e.txt"],["b/c.conf"],[],["b/c.conf"]]`},
		{`[templatefile("greet.tmpl", { names = ["a", "b"] }), templatestring("$${x}-$${x + 1}", { x = 1 })]`, `["A B ","1-2"]`},
		{`host`, `{"arch":"amd64","features":["kvm"],"kernel":"6.18.0","name":"pve1","os":"debian"}`},
	} {
		t.Run(c.expr, func(t *testing.T) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "main.hcl"), []byte("output \"o\" { value = "+c.expr+" }"), 0o644))
			assert.Equal(t, c.want, string(loadDir(t, options(dir)).Outputs[0].Value))
		})
	}
	t.Run("tell public keys of private ones, and what is to be done where there is none", func(t *testing.T) {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, "root/etc"), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "root/etc/wg.key"), []byte("dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo=\n"), 0o600)) // of RFC 7748
		config := func(file string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "main.hcl"), []byte(`output "o" { value = wg_public_key("`+file+`") }`), 0o644))
		}
		o := options(dir)
		o.Root = filepath.Join(dir, "root")
		config("/etc/wg.key")
		c := loadDir(t, o)
		assert.Equal(t, `"hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo="`, string(c.Outputs[0].Value))
		config("/etc/none.key")
		_, _, diags := desired.Load(t.Context(), o)
		require.Len(t, diags, 1)
		assert.Equal(t, "main.hcl:1,22", diags[0].Subject.String())
		assert.Contains(t, diags[0].Detail, "opdbus wg genkey")
		o.Elsewhere = true
		elsewhere := loadDir(t, o)
		assert.Regexp(t, `^"[A-Za-z0-9+/]{43}="$`, string(elsewhere.Outputs[0].Value))
		config("none.key")
		_, _, diags = desired.Load(t.Context(), o)
		assert.Contains(t, diags[0].Detail, "by its absolute path")
	})
	t.Run("are pure: none tells the time, is random, or looks at the environment", func(t *testing.T) {
		for _, name := range []string{"timestamp", "plantimestamp", "uuid", "bcrypt", "abspath", "pathexpand", "env"} {
			assert.Contains(t, mistakes(t, "main.hcl", `output "o" { value = `+name+`() }`), "Call to unknown function")
		}
	})
	for name, expr := range map[string]string{
		"range": `range(1000000000)`, "setproduct": `setproduct(range(1000), range(1000), range(1000))`,
		"format": `format("%999999999d", 1)`, "format with a width as argument": `format("%*d", 999999999, 1)`,
		"indent": `indent(1000000000, "x")`, "replace": `replace(format("%9999d", 1), "", format("%9999d", 1))`,
	} {
		t.Run(name+" has a bound", func(t *testing.T) {
			assert.Contains(t, mistakes(t, "main.hcl", `output "o" { value = `+expr+` }`), "function")
		})
	}
	t.Run("keep values secret", func(t *testing.T) {
		for _, expr := range []string{`format("%s", S)`, `join("", [S])`, `templatestring("$${x}", { x = S })`, `jsonencode({ a = S })`, `setproduct([S], ["a"])`, `sha256(S)`, `yamldecode(S)`} {
			src := fmt.Sprintf("variable \"s\" {\n default = \"x\"\n sensitive = true\n}\noutput \"o\" { value = %s }", strings.ReplaceAll(expr, "S", "var.s"))
			assert.Contains(t, mistakes(t, "main.hcl", src), "Output refers to sensitive values", expr)
		}
	})
}
