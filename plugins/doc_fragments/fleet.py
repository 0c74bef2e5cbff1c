# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What modules that bring a list of workspaces to their states share."""

from __future__ import annotations


class ModuleDocFragment:
    """The list of workspaces, how it is worked on, and the options that action plugins set."""

    DOCUMENTATION = r"""
attributes:
  check_mode:
    description: Can run in check mode and tell what it would change, without changing it.
    support: full
  diff_mode:
    description: Tells which parts of which workspace's configuration change. Values of variables are not shown.
    support: full
  idempotent:
    description: Changes nothing when it is run a second time.
    support: full
options:
  parallel:
    description: How many workspaces are worked on at once.
    type: int
    default: 8
  health_timeout:
    description: Seconds that a container may take to become healthy.
    type: float
    default: 180
  stop_timeout:
    description: Seconds that a container may take to stop before it is killed.
    type: int
    default: 10
  network_settings:
    description: What O(network) says, as text. The action plugin sets it.
    type: str
  environments:
    description: What O(workspaces[].environment) says, as JSON by workspace. The action plugin sets it.
    type: str
  secret_values:
    description: What O(secrets) says, as JSON. The action plugin sets it.
    type: str
  workspaces:
    description:
      - The workspaces, as RV(codeopen.workspaces.plan#filter:_value) has them under C(workspaces).
    type: list
    elements: dict
    required: true
    suboptions: &workspace
      name:
        description: Name of the workspace. Lower-case letters, digits and single hyphens between them.
        type: str
        required: true
      flavor:
        description: The flavor that its image was planned from. Only for people to read.
        type: str
      addons:
        description: The add-ons that its image was planned from. Only for people to read.
        type: list
        elements: str
      tier:
        description: The tier that its limits come from.
        type: str
      image:
        description: Its image, which has to be on the host. Needed unless O(workspaces[].state=absent).
        type: str
      recipe:
        description: The recipe that the image has to be built from. Any will do where this is not given.
        type: str
      cpus:
        description: How many CPUs it may use. On a host with fewer it may use all, and the result says so.
        type: float
      memory:
        description: How many bytes of memory it may use.
        type: int
      disk:
        description:
          - How many bytes of disk its tier gives to its volumes together, those with a budget of their own left out.
          - It is enforced where the engine keeps volumes on XFS that is mounted with C(prjquota). Elsewhere it is only
            watched by M(codeopen.workspaces.workspace_volume_info), and the result says so.
        type: int
      ports:
        description: The ports of the container that the host publishes.
        type: list
        elements: dict
        suboptions:
          name:
            description: What the port is called.
            type: str
            required: true
          container:
            description: Port in the container.
            type: int
            required: true
          host:
            description: Port of the host. A free one is chosen, and kept from then on, where this is not given.
            type: int
          address:
            description: Address of the host that the port is published on.
            type: str
            default: 127.0.0.1
      volumes:
        description: What is kept when the container is replaced, in volumes named C(codeopen-<workspace>-<name>).
        type: list
        elements: dict
        suboptions:
          name:
            description: What the volume is called.
            type: str
            required: true
          path:
            description: Where it is in the container.
            type: str
            required: true
      mounts:
        description:
          - Directories of the host, and volumes of M(codeopen.workspaces.workspace_volume), that it gets besides its
            own volumes.
          - A directory has to be there, must be no place of the system and have none in it, no symbolic link, and has
            to belong to the workspace's user. A volume has to be its owner's, or nobody's.
        type: list
        elements: dict
        suboptions:
          source:
            description: Absolute path of the directory, or name of the volume.
            type: str
            required: true
          target:
            description: Where it is in the container.
            type: str
            required: true
          read_only:
            description: Whether the workspace may only read it.
            type: bool
            default: false
          uid:
            description: Whose the directory is. Without this V(1000), the workspace's user.
            type: int
      environment:
        description: The user's own variables.
        type: dict
      runtime:
        description:
          - What its components need from the engine beyond what a container gets by default. It comes from them, by the
            plan.
        type: dict
        suboptions:
          devices:
            description: Devices of the host that it may read and write.
            type: list
            elements: str
            default: []
          security_opt:
            description: Confinement of the engine that it is started without.
            type: list
            elements: str
            choices: [apparmor=unconfined, label=disable, seccomp=unconfined, systempaths=unconfined]
            default: []
          privileged:
            description: Whether nothing of the host is kept from it.
            type: bool
            default: false
      gpus:
        description:
          - The GPUs it gets; a number of them, V(-1) for all, or a list of indexes, UUIDs of GPUs or MIG instances,
            MIG indexes such as V(0:1), or CDI names.
          - What the host does not have is refused.
        type: raw
        default: 0
      limits:
        description: Further limits, which come from its tier. C(swap) and C(pids) are changed without a restart.
        type: dict
        suboptions:
          swap:
            description: Bytes of swap it may use beside its memory. Without this none.
            type: int
          pids:
            description: How many processes and threads it may have. Without this 4096.
            type: int
          shm:
            description: Bytes of C(/dev/shm), which count as memory. Without this 64 MiB.
            type: int
          open_files:
            description: How many files a process of it may open. Without this what the engine gives by itself.
            type: int
          log_size:
            description: Bytes of its output that the engine keeps. Without this 30 MB.
            type: int
          locked_memory:
            description:
              - Bytes of memory that a process of it may keep from being swapped out (C(memlock)), V(-1) for no limit.
                Without this, or with V(0), what the engine gives by itself.
            type: int
          core_size:
            description:
              - Bytes that the dump of a process of it that crashes may have (C(core)), V(-1) for no limit; with V(1) no
                dump is written. Without this, or with V(0), what the engine gives by itself.
            type: int
      owner:
        description:
          - Whose it is. Workspaces of an owner share a network, where they find each other by name; those of
            different owners do not reach each other.
          - Workspaces without an owner share a network, too.
        type: str
        default: ''
      aliases:
        description:
          - Further names under which other workspaces of its owner find it. Lower-case letters, digits and hyphens
            between them.
          - None may be another workspace's name or alias, where both have the same owner.
        type: list
        elements: str
        default: []
      checks:
        description:
          - What has to work besides its health before it counts as started. When one does not, an update is rolled
            back.
          - Each names one of C(http), C(tcp) and C(command).
        type: list
        elements: dict
        suboptions:
          http:
            description: Name of a port that has to answer a GET request.
            type: str
          path:
            description: What is asked for.
            type: str
            default: /
          status:
            description: The HTTP status that has to come.
            type: int
            default: 200
          tcp:
            description: Name of a port that has to accept a connection.
            type: str
          command:
            description: A command that has to succeed in the container.
            type: list
            elements: str
          timeout:
            description:
              - Seconds that it has. A check that does not pass is tried again until then, and one that is still under
                way then has failed, a command that hangs for example.
              - With V(0) it is tried once, and has ten seconds.
            type: float
            default: 30
      idle_minutes:
        description:
          - After how many idle minutes M(codeopen.workspaces.workspace_idle) stops it. Never, where this is not given.
          - One that was stopped so stays asleep, with the state V(asleep), until a run is told to wake it. What
            changed in its description is applied then.
        type: int
      leave_out:
        description: Tools that its image lacks, for whoever reads the plan. The image decides.
        type: list
        elements: str
      state:
        description:
          - With V(present) it is there, as described. One that runs goes on, one that does not stays so, and a new one
            is not started. Of one that does not run, what changed in its description is applied when it is started.
          - With V(started) it is there, as described, running and healthy.
          - With V(restarted) it is the same, and has been started anew by this task, which therefore always changes
            something.
          - With V(stopped) it is there and does not run. What changed in its description is applied when it is started.
          - With V(paused) it is there and its processes are frozen; they keep their memory and use no CPU.
            What changed in its description is applied when it is started.
          - With V(absent) its container is gone.
        type: str
        choices: [present, started, stopped, restarted, paused, absent]
        default: started
  pools:
    description:
      - Pools of workspaces that wait for somebody to claim them with M(codeopen.workspaces.workspace_claim), as
        RV(codeopen.workspaces.plan#filter:_value) has them under C(pools).
      - As many unclaimed members as O(pools[].size) says are kept running, named after the pool with a number.
        Those that are too many are removed with their volumes. Those that somebody claimed stay as they are.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the pool.
        type: str
        required: true
      size:
        description: How many unclaimed members wait.
        type: int
        required: true
      workspace:
        description: What each member is, as an entry of O(workspaces). Its name and state are the pool's to give.
        type: dict
        required: true
        suboptions: *workspace
"""
