"""What makes a package: files of a project, the framework of a model, and both together as one canonical tree.

It knows no store: where a package is put comes in as a small port (`package.Artifacts`). The sdk reads projects with
it, the api builds packages with it.
"""
