"""
The server's view of its own log: its keys, and what the operator's policy file says of witnesses and timestamps.

It convinces nobody else: an auditor pins the keys that they were given by hand.
"""

from dataclasses import replace
from pathlib import Path

from django.conf import settings

from ledger.errors import PolicyFileUnreadable
from ledger.keys import load_vkeys
from ledger.tlog.errors import PolicyMalformed
from ledger.tlog.policy import Policy, parse_policy


def own_policy() -> Policy:
    """
    The origin and keys that this deployment seals with, and the witnesses and timestamp roots of its policy file.

    :raises VerifierKeyMissing: if the verifier key is not at hand
    :raises PolicyFileUnreadable: if there is a policy file that is none
    """
    own = Policy(settings.LEDGER_ORIGIN, load_vkeys())
    file = Path(settings.LEDGER_POLICY_FILE)
    try:
        policy = parse_policy(file.read_bytes(), log=own)
    except FileNotFoundError:
        return own
    except (OSError, PolicyMalformed) as error:
        raise PolicyFileUnreadable(path=str(file), why=error) from error
    # The keys that the log is sealed with, whatever the file still says of them.
    return replace(policy, origin=own.origin, keys=own.keys)
