"""Constructor parameters as scikit-learn handles them, without needing scikit-learn."""

import inspect

__all__ = ["Parametrized"]


class Parametrized:
    """An estimator whose constructor keeps its arguments as attributes of the same names."""

    def get_params(self, deep=True):
        """Give the parameters of the constructor.

        Parameters
        ----------
        deep : bool, optional
            Without effect; scikit-learn passes it.

        Returns
        -------
        params : dict
            Values by name.
        """
        names = inspect.signature(type(self).__init__).parameters
        return {name: getattr(self, name) for name in names if name != "self"}

    def set_params(self, **params):
        """Set parameters of the constructor.

        Parameters
        ----------
        **params
            New values by name.

        Returns
        -------
        self : object
            The estimator.

        Raises
        ------
        ValueError
            If there is no such parameter, or a value is not allowed.
        """
        known = self.get_params()
        for name, value in params.items():
            if name not in known:
                raise ValueError(f"there is no parameter {name!r}: choose of {', '.join(known)}")
            setattr(self, name, value)
        self._check_params()
        return self

    def _check_params(self):
        """Raise ValueError if a parameter's value is not allowed."""
