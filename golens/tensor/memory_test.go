package tensor

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWhatCannotFitIsRefused(t *testing.T) {
	available := Available()
	if available <= 0 {
		t.Fatalf("%d bytes are available", available)
	}
	if err := Fits("a run", 1<<45); !errors.Is(err, ErrOutOfMemory) || !strings.Contains(err.Error(), "a run needs 35184372.1 MB (35184372088832 bytes), and ") {
		t.Errorf("32 TiB: %v", err)
	}
	if err := Fits("a run", available/2); err != nil {
		t.Error(err)
	}
	before := Count()
	if _, err := New(Float32, 1<<40); !errors.Is(err, ErrOutOfMemory) {
		t.Errorf("4 TiB: %v", err)
	}
	if got := Count(); got.Storages != before.Storages {
		t.Errorf("%d storages are left of a refusal", got.Storages-before.Storages)
	}
}

func TestMemoryOfAControlGroup(t *testing.T) {
	const meminfo = "MemTotal:       24000000 kB\nMemFree:          100000 kB\nMemAvailable:   20000000 kB\nSwapTotal: 5 kB\nSwapFree:              4 kB\n"
	const machine = 20000004 * 1024
	for what, c := range map[string]struct {
		files map[string]string
		want  int64
	}{
		"nothing known": {nil, math.MaxInt64},
		"no groups":     {map[string]string{"proc/meminfo": meminfo}, machine},
		"groups of old, without limit": {map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "9:name=systemd:/\n4:memory:/\n0::/\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n", "sys/fs/cgroup/memory/memory.usage_in_bytes": "1000\n",
		}, machine},
		"groups of old": {map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "5:cpu,cpuacct:/x\n4:memory:/a/b\n",
			"sys/fs/cgroup/memory/a/b/memory.limit_in_bytes": "5000000\n", "sys/fs/cgroup/memory/a/b/memory.usage_in_bytes": "4000000\n",
			"sys/fs/cgroup/memory/a/b/memory.stat": "inactive_file 7\ntotal_active_file 300\ntotal_inactive_file 20\n",
		}, 1000320},
		"unified": {map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "0::/a/b\n",
			"sys/fs/cgroup/a/b/memory.max": "max\n", "sys/fs/cgroup/a/b/memory.current": "1\n",
			"sys/fs/cgroup/a/memory.max": "9000000\n", "sys/fs/cgroup/a/memory.current": "2000000\n",
		}, 7000000},
		"in a container, whose path leads nowhere": {map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "0::/../../elsewhere\n",
			"sys/fs/cgroup/memory.max": "3000\n", "sys/fs/cgroup/memory.current": "5000\n",
		}, 0},
	} {
		root := t.TempDir()
		for name, text := range c.files {
			path := filepath.Join(root, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got := freeUnder(root); got != c.want {
			t.Errorf("%s: %d bytes, want %d", what, got, c.want)
		}
	}
}
