"""The arms of ``bench refresh``, each a script that runs in an environment of its own."""
