"""The machine itself: what a command says and how it ends, and that the next one finds nothing of it."""

from __future__ import annotations

from tests.vm.machine import Machine


def test_a_command_leaves_nothing_for_the_next(vm: Machine) -> None:
    done = vm.run("""
        echo said; echo cried >&2
        touch $TMPDIR/left
        mount -t tmpfs none /mnt
        mkdir /sys/fs/cgroup/other
        sleep 100000 &
        (echo 0 > /sys/fs/cgroup/other/cgroup.procs; exec sleep 100000) &
        until [ "$(cat /sys/fs/cgroup/other/cgroup.procs)" ]; do :; done
        exit 3
    """)
    assert (done.returncode, done.stdout, done.stderr) == (3, "said\n", "cried\n")

    done = vm.run("""
        ls -A $TMPDIR
        grep /mnt /proc/self/mounts || true
        pgrep -a -x sleep || true
        own=/sys/fs/cgroup$(cut -d: -f3 /proc/self/cgroup)
        ls -d /sys/fs/cgroup/*/ | grep -vx -e $own/ -e /sys/fs/cgroup/vmrun/ || true
    """)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
