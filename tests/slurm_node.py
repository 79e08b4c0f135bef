"""A Slurm of one node on this machine: Debian's own daemons on the loopback address, with two GPUs that are none.

It needs root and the packages munge, slurmctld, slurmd and slurm-client. Its configuration must lie in /etc/slurm, where
the jobs look for it; while it lies there and no controller answers, every start of Snakemake takes ten seconds more, so
`stop` removes it.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

ETC = Path("/etc/slurm")
MUNGE = Path("/run/munge/munge.socket.2")
GPUS, CPUS = 2, 2
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scontrol", "srun")
_PREFIX = "reregister-slurm-"
# OverMemoryKill: memory is watched by the second, since control groups cannot be counted on in a container. MinJobAge: jobs
# stay known for an hour, so that a test can ask for them after the run.
_CONF = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
SlurmctldPort=16817
SlurmdPort=16818
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/affinity
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
JobAcctGatherParams=OverMemoryKill
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerParameters=sched_interval=2,bf_interval=2,sched_min_interval=0,batch_sched_delay=0
GresTypes=gpu
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmdParameters=config_overrides
AccountingStorageType=accounting_storage/none
MinJobAge=3600
KillWait=5
InactiveLimit=0
SlurmdTimeout=60
SlurmctldTimeout=60
MessageTimeout=10
ReturnToService=2
OverTimeLimit=0
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} Boards=1 SocketsPerBoard=1 CoresPerSocket={cpus} ThreadsPerCore=1 \
RealMemory=64000 Gres=gpu:{gpus} State=UNKNOWN
PartitionName=cpu Nodes={host} Default=YES MaxTime=30-0 State=UP
PartitionName=gpu Nodes={host} MaxTime=30-0 State=UP
"""


def why_not() -> str:
    """Why no Slurm can be started here; "" where it can."""
    missing = [name for name in PROGRAMS if not shutil.which(name, path=_path())]
    if os.getuid():
        return "only root can start Slurm's daemons"
    if missing:
        return (
            f"{', '.join(missing)} missing: apt-get install --no-install-recommends slurmctld slurmd slurm-client munge"
        )
    conf = ETC / "slurm.conf"
    if conf.exists() and not (conf.is_symlink() and conf.resolve().parent.name.startswith(_PREFIX)):
        return f"{conf} is there: this machine has a Slurm of its own"
    return ""


def _path() -> str:
    return os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/sbin"])


class SlurmNode:
    """The running daemons. folder: their state and logs. Use as a context."""

    def __init__(self) -> None:
        # A short path: that of a socket has at most 108 characters.
        self.folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        self.folder.chmod(0o755)
        self._own_munge = False

    def __enter__(self) -> "SlurmNode":
        try:
            self._end_former()
            self._configure()
            self._start_munge()
            self._daemon("slurmctld")
            self.start_slurmd()
            self._wait_until_idle()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def start_slurmd(self) -> None:
        self._daemon("slurmd")

    def kill_slurmd(self) -> None:
        """SIGKILL, as a node that loses its daemon and nothing else."""
        os.kill(self._pid("slurmd"), signal.SIGKILL)

    def ask(self, *command: str) -> str:
        """What a command of Slurm's says; fails after half a minute."""
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
        return done.stdout

    def jobs(self) -> dict[str, dict[str, str]]:
        """Every job that Slurm remembers, by its number: the fields of `scontrol show job`."""
        lines = self.ask("scontrol", "show", "job", "--oneliner").splitlines()
        fields = [dict(word.split("=", 1) for word in line.split() if "=" in word) for line in lines]
        return {job["JobId"]: job for job in fields if "JobId" in job}

    def cancel_all(self) -> None:
        with suppress(subprocess.SubprocessError):
            self.ask("scancel", "--user", "root", "--full", "--signal", "KILL")
            self.ask("scancel", "--user", "root")

    def stop(self) -> None:
        """End what was started, take the configuration away and remove the folder. Never raises."""
        if (ETC / "slurm.conf").exists():
            self.cancel_all()
        for name in ("slurmd", "slurmctld", *(["munged"] if self._own_munge else [])):
            with suppress(OSError, ValueError):
                _end(self._pid(name), name)
        for name in ("slurm.conf", "gres.conf"):
            if (ETC / name).is_symlink():
                (ETC / name).unlink()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _end_former(self) -> None:
        # What a test process that was killed has left.
        former = (ETC / "slurm.conf").resolve().parent
        if former.name.startswith(_PREFIX):
            for name in ("slurmd", "slurmctld", "munged"):
                with suppress(OSError, ValueError):
                    _end(int((former / f"{name}.pid").read_text(encoding="utf-8")), name)

    def _configure(self) -> None:
        host = socket.gethostname().split(".")[0]
        for name in ("state", "spool", "dev"):
            (self.folder / name).mkdir()
        for number in range(GPUS):
            # Slurm wants a character device for each GPU; this one is /dev/null.
            os.mknod(self.folder / "dev" / f"nvidia{number}", 0o666 | 0o020000, os.makedev(1, 3))
        conf = _CONF.format(folder=self.folder, host=host, cpus=CPUS, gpus=GPUS)
        (self.folder / "slurm.conf").write_text(conf.lstrip(), encoding="utf-8")
        (self.folder / "gres.conf").write_text(
            f"Name=gpu File={self.folder}/dev/nvidia[0-{GPUS - 1}]\n", encoding="utf-8"
        )
        ETC.mkdir(exist_ok=True)
        for name in ("slurm.conf", "gres.conf"):
            (ETC / name).unlink(missing_ok=True)
            (ETC / name).symlink_to(self.folder / name)

    def _start_munge(self) -> None:
        if (
            MUNGE.exists()
            and subprocess.run(["munge", "-n"], capture_output=True, timeout=10, check=False).returncode == 0
        ):
            return
        MUNGE.parent.mkdir(exist_ok=True)
        MUNGE.unlink(missing_ok=True)
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o600)
        command = ["munged", f"--key-file={key}", f"--socket={MUNGE}", f"--pid-file={self.folder}/munged.pid"]
        command += [f"--log-file={self.folder}/munged.log", f"--seed-file={self.folder}/munged.seed", "--num-threads=2"]
        self._run(command)
        self._own_munge = True

    def _daemon(self, name: str) -> None:
        (self.folder / f"{name}.pid").unlink(missing_ok=True)
        self._run([name, "-f", str(self.folder / "slurm.conf")])

    def _run(self, command: list[str]) -> None:
        # Into a file: a daemon keeps a pipe open, and the test would wait for its end.
        with open(self.folder / "start.log", "ab") as log:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                timeout=30,
                check=False,
                env={**os.environ, "PATH": _path()},
            )
        if done.returncode:
            raise RuntimeError(f"{command[0]} did not start: {self._logs()}")

    def _wait_until_idle(self) -> None:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with suppress(subprocess.SubprocessError):
                if "idle" in self.ask("sinfo", "--noheader", "--format=%T").split():
                    return
            time.sleep(0.2)
        raise RuntimeError(f"the node does not become idle: {self._logs()}")

    def _pid(self, name: str) -> int:
        return int((self.folder / f"{name}.pid").read_text(encoding="utf-8"))

    def _logs(self) -> str:
        texts = (path.read_text(encoding="utf-8", errors="replace")[-2000:] for path in self.folder.glob("*.log"))
        return "\n".join(texts)


def _end(pid: int, name: str) -> None:
    # By its own number, and only while that is still the daemon's.
    if Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip() != name:
        return
    os.kill(pid, signal.SIGTERM)
    for _ in range(50):
        time.sleep(0.1)
        if not Path(f"/proc/{pid}").exists():
            return
    os.kill(pid, signal.SIGKILL)
