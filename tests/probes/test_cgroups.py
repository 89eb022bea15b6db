"""Limits of the control group, from folders that look like the kernel's."""

from pathlib import Path

from mmdoctor.probes.cgroups import cpu_limit, memory_headroom, memory_limit


def write(root: Path, contents: dict[str, str]) -> Path:
    for name, text in contents.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_no_control_groups(tmp_path: Path) -> None:
    assert memory_limit(tmp_path) is None
    assert memory_headroom(tmp_path) is None
    assert cpu_limit(tmp_path) is None


def test_version_2_takes_the_smallest_of_the_group_and_its_parents(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        {
            "proc/self/cgroup": "0::/kube/pod/app\n",
            "sys/fs/cgroup/kube/pod/app/memory.max": "max\n",
            "sys/fs/cgroup/kube/pod/memory.max": "8000\n",
            "sys/fs/cgroup/kube/pod/memory.current": "6000\n",
            "sys/fs/cgroup/kube/pod/memory.stat": "anon 1000\ninactive_file 2500\n",
            "sys/fs/cgroup/kube/memory.max": "9000\n",
            "sys/fs/cgroup/kube/pod/app/cpu.max": "250000 100000\n",
            "sys/fs/cgroup/kube/cpu.max": "max 100000\n",
        },
    )

    assert memory_limit(root) == 8000
    assert memory_headroom(root) == 8000 - (6000 - 2500)
    assert cpu_limit(root) == 3


def test_version_1_in_a_container_sees_its_group_at_the_mount(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        {
            "proc/self/cgroup": "5:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "4096\n",
            "sys/fs/cgroup/memory/memory.usage_in_bytes": "1000\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "50000\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
        },
    )

    assert memory_limit(root) == 4096
    assert memory_headroom(root) == 3096
    assert cpu_limit(root) == 1


def test_version_1_writes_a_huge_number_for_no_limit(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        {
            "proc/self/cgroup": "5:memory:/\n4:cpu,cpuacct:/\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
        },
    )

    assert memory_limit(root) is None
    assert cpu_limit(root) is None


def test_a_path_that_leads_out_stays_below_the_mount(tmp_path: Path) -> None:
    root = write(tmp_path, {"proc/self/cgroup": "0::/../../etc\n", "sys/fs/cgroup/memory.max": "77\n"})

    assert memory_limit(root) == 77
