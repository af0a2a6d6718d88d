"""`ajil demo`: articles of our own, an embedded broker, a worker, and a screen that shows what comes out."""
