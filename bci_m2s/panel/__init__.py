"""The panel: a Qt window that shows a session as one more LSL client. It never touches the engine's work.

``client`` listens to LSL and keeps the latest; the views draw plain data and know nothing of LSL;
``window`` puts them together; ``app`` starts Qt.
"""
