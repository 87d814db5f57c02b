"""Other people's servers, a folder each: what its environment holds (`requirements.in`, locked in `requirements.txt`)
and the least code that serves a case there. `bench.serving.servers` starts them.
"""
