"""A Ray cluster on this machine, for `RealCluster`: a raylet for each node, told by lines on standard input.

    start NAME CPUS     starts a node, the first one as the head
    kill NAME           SIGKILL for all processes of the node

Each line is answered: the head's with the cluster's address, the others with their name. Ends with its input.
"""

import os
import sys
from pathlib import Path
from typing import Any

from ray.cluster_utils import Cluster

QUICK = {
    "health_check_initial_delay_ms": 0,
    "health_check_period_ms": 1000,
    "health_check_failure_threshold": 3,
}
"""A node that is gone is noticed in seconds; by default it takes half a minute."""


def main(base: Path) -> None:
    cluster, nodes = Cluster(), dict[str, Any]()
    for line in sys.stdin:
        command, name, *cpus = line.split()
        if command == "start":
            own = {each: base / name / each for each in ("HOME", "TMPDIR", "cwd", "ray")}
            for path in own.values():
                path.mkdir(parents=True)
            os.chdir(own["cwd"])  # of the processes that start now
            environment = {"HOME": str(own["HOME"]), "TMPDIR": str(own["TMPDIR"]), "NODE": name}
            head: dict[str, Any] = {} if nodes else {"_system_config": QUICK, "include_dashboard": False}
            nodes[name] = cluster.add_node(
                num_cpus=int(cpus[0]), temp_dir=str(own["ray"]), env_vars=environment, **head
            )
            print(name if len(nodes) > 1 else cluster.address, flush=True)
        else:
            cluster.remove_node(nodes[name], allow_graceful=False)
            print(name, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
