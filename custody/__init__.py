"""The act of handing over, and the wiring of the whole product."""
