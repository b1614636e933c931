"""Questions to the server of the explorer, and the arrays of its answers."""

import base64

import numpy as np
import torch


def array(found):
    values = np.frombuffer(base64.b64decode(found["data"]), found["dtype"])
    return torch.tensor(values.reshape(found["shape"]))


def ask(client, name, path="", **query):
    answer = client.get(f"/api/runs/{name}{path}", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def tell(client, name, where, **body):
    answer = client.post(f"/api/runs/{name}{where}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()
