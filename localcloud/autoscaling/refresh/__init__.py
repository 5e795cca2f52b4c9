"""Instance refresh: replacing a group's instances, batch by batch.

`arithmetic` computes how many may be launched and terminated, `models` holds one refresh and its states, `engine` moves
a refresh on, `actions` answers the API. Behaviour follows the API's model and documentation; where those are silent it
was never compared with AWS.
"""
