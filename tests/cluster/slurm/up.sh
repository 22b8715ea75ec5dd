#!/bin/bash
# up.sh DIR - start a private Slurm cluster for tests in DIR.
# Needs: Debian/Ubuntu, root (apt-get only where the packages are missing). No systemd, no cgroups.
# Env:   NODES=1  CPUS=4  MEM=8000 (MB per node)  GPUS=2 (fake, per node)  DBD=0 (1: slurmdbd+mariadb, so that sacct works)
# Then:  . DIR/env     (puts DIR/bin first in PATH)      Stop: down.sh DIR
set -eu; umask 022; export PATH=$PATH:/usr/sbin:/sbin
D=$(realpath -m "${1:?usage: up.sh DIR}"); HERE=$(dirname "$(realpath "$0")")
NODES=${NODES:-1} CPUS=${CPUS:-4} MEM=${MEM:-8000} GPUS=${GPUS:-2} DBD=${DBD:-0}
say() { echo "up.sh: $*" >&2; }
die() { say "$*"; tail -n 20 "$D"/*.log >&2 2>/dev/null || true; "$HERE/down.sh" "$D" || true; exit 1; }
until_ok() { local n=$1; shift; while ! "$@" >/dev/null 2>&1; do n=$((n-1)); [ $n -gt 0 ] || return 1; sleep .1; done; }

want="slurmctld slurmd slurm-client munge"; bins="slurmctld slurmd sbatch munged"
[ "$DBD" = 0 ] || { want="$want slurmdbd mariadb-server"; bins="$bins slurmdbd mariadbd"; }
if ! which $bins >/dev/null 2>&1; then
  export DEBIAN_FRONTEND=noninteractive; log=$(mktemp)
  { apt-get update -q && apt-get install -y -q --no-install-recommends $want; } >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
  rm -f "$log"
fi

[ ! -e "$D/slurm.conf" ] || "$HERE/down.sh" "$D"
[ ${#D} -le 80 ] || { say "DIR has more than 80 characters: Slurm socket paths would not fit"; exit 1; }
[ -z "$(ls -A "$D" 2>/dev/null)" ] || [ -e "$D/slurm.conf" ] || { say "$D is not empty and is no cluster of mine"; exit 1; }
rm -rf "$D"; mkdir -p "$D"/{bin,state,munge,spool}; cd "$D"

P=$((20000 + $(cksum <<<"$D" | cut -d' ' -f1) % 20000)); n=$((NODES+3))
busy() { local i; for i in $(seq 0 $n); do (: </dev/tcp/127.0.0.1/$((P+i))) 2>/dev/null && return 0; done; return 1; }
while busy; do P=$((P+n+1)); done

U=$(id -un) H=$(hostname -s) LAST=$((GPUS-1))
head -c 128 /dev/urandom > munge/key; chmod 600 munge/key
DEV=(/dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty)   # a gres File must be a device; these are in every container
{ echo AutoDetect=off; for i in $(seq 0 $LAST); do echo "NodeName=n[1-$NODES] Name=gpu File=${DEV[i]}"; done; } > gres.conf
cat > slurm.conf <<E
ClusterName=test
SlurmctldHost=$H(127.0.0.1)
SlurmUser=$U
SlurmdUser=$U
AuthType=auth/munge
AuthInfo=socket=$D/munge/sock
$(getent hosts "$(hostname)" >/dev/null && echo CommunicationParameters=NoInAddrAny,NoCtldInAddrAny)
SlurmctldPort=$P
StateSaveLocation=$D/state
SlurmdSpoolDir=$D/spool/%n
SlurmctldPidFile=$D/slurmctld.pid
SlurmdPidFile=$D/slurmd.%n.pid
SlurmctldLogFile=$D/slurmctld.log
SlurmdLogFile=$D/slurmd.%n.log
MailProg=/bin/true
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=2
JobAcctGatherParams=OverMemoryKill
JobCompType=jobcomp/filetxt
JobCompLoc=$D/jobcomp.txt
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0,bf_interval=1
SlurmdParameters=config_overrides
SlurmdTimeout=10
ReturnToService=2
KillWait=10
MinJobAge=3600
GresTypes=gpu
E
if [ "$DBD" = 0 ]; then echo AccountingStorageType=accounting_storage/none >> slurm.conf; else cat >> slurm.conf <<E
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=localhost
AccountingStoragePort=$((P+1))
AccountingStoragePass=$D/munge/sock
AccountingStoreFlags=job_comment
E
fi
for i in $(seq $NODES); do
  echo "NodeName=n$i NodeHostname=$H NodeAddr=127.0.0.1 Port=$((P+2+i)) CPUs=$CPUS RealMemory=$MEM $([ "$GPUS" = 0 ] || echo Gres=gpu:$GPUS) State=UNKNOWN" >> slurm.conf
done
cat >> slurm.conf <<E
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
PartitionName=debug Nodes=ALL Default=YES DefMemPerCPU=500 MaxTime=INFINITE PriorityTier=1 State=UP
PartitionName=urgent Nodes=ALL DefMemPerCPU=500 MaxTime=INFINITE PriorityTier=2 PreemptMode=OFF State=UP
E

# The Snakemake plugins delete every SLURM_* variable, SLURM_CONF too: so wrap the clients instead of exporting it.
printf '#!/bin/sh\nSLURM_CONF=%s exec /usr/bin/"${0##*/}" "$@"\n' "$D/slurm.conf" > bin/.wrap; chmod +x bin/.wrap
for c in sacct sacctmgr salloc sattach sbatch sbcast scancel scontrol sdiag sinfo sprio squeue sreport srun sshare sstat; do
  ln -s .wrap bin/$c; done
echo "export PATH=$D/bin:\$PATH; unset SLURM_CONF" > env
export SLURM_CONF=$D/slurm.conf PATH=$D/bin:$PATH

munged --key-file=$D/munge/key --socket=$D/munge/sock --pid-file=$D/munge/pid --log-file=$D/munged.log --seed-file=$D/munge/seed --origin=127.0.0.1 || die "munged did not start"
if [ "$DBD" != 0 ]; then
  mariadb-install-db --no-defaults --user=$U --datadir=$D/db --auth-root-authentication-method=normal --skip-test-db > mariadb-install.log 2>&1 || die "mariadb-install-db failed"
  setsid mariadbd --no-defaults --user=$U --datadir=$D/db --socket=$D/db.sock --pid-file=$D/mariadbd.pid --bind-address=127.0.0.1 --port=$((P+2)) \
    --innodb-buffer-pool-size=32M --innodb-flush-log-at-trx-commit=0 --innodb-lock-wait-timeout=900 </dev/null > mariadbd.log 2>&1 &
  until_ok 300 mariadb --no-defaults -u root -S $D/db.sock -e 'select 1' || die "mariadbd did not start"
  mariadb --no-defaults -u root -S $D/db.sock -e "create database slurm; create user slurm@'%' identified by 'x'; grant all on slurm.* to slurm@'%'; create user slurm@localhost identified by 'x'; grant all on slurm.* to slurm@localhost"
  (umask 077; cat > slurmdbd.conf <<E
AuthType=auth/munge
AuthInfo=socket=$D/munge/sock
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort=$((P+1))
SlurmUser=$U
LogFile=$D/slurmdbd.log
PidFile=$D/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort=$((P+2))
StorageUser=slurm
StoragePass=x
StorageLoc=slurm
E
  )
  slurmdbd || die "slurmdbd did not start"
  until_ok 100 timeout 5 sacctmgr -n list cluster || die "slurmdbd does not answer"
  sacctmgr -i add cluster test >/dev/null 2>&1 || true
  for a in none; do sacctmgr -i add account $a Description=t Organization=t >/dev/null; sacctmgr -i add user "$U" account=$a >/dev/null; done
fi
slurmctld -f $SLURM_CONF || die "slurmctld did not start"
for i in $(seq $NODES); do slurmd -N n$i -f $SLURM_CONF || die "slurmd n$i did not start"; done
idle() { [ "$(sinfo -h -N -t idle -o %N | sort -u | wc -l)" = "$NODES" ]; }
until_ok 300 idle || die "the nodes did not come up"
until_ok 100 timeout 20 srun -n1 --mem=50 true || die "srun does not work"
say "up in ${SECONDS}s: $NODES node(s), port $P; . $D/env"
