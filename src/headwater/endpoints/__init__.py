"""Inference Endpoints: machines of Hugging Face's that one user pays for by the hour; launched, waited for, given back.

    addresses   where the API, the catalog and an endpoint are
    types       what they say, as Structs; no secret is shown by any of them
    bodies      what a creation and a change ask for
    flows       the API's calls, as flows of the engine
    wait        until an endpoint runs and is well: a flow of states
    route       a task at an endpoint that is known by its name
    lease       an endpoint for the length of a `with` block

https://huggingface.co/docs/inference-endpoints. The clients' `endpoints` is `client/endpoints.py`.
"""
